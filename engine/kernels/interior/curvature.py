"""Second derivatives of the weighted bound with respect to the reduced covariance, for eight draws side by side.

A bound is sum_r F_r^T J^-1 F_r with J linear in x, so its second derivative along D is 2 sum_r |L^-1 J(D) v_r|^2,
with J = L L^T and the responses v_r = J^-1 F_r. Every entry of J(D) v_r is a sum of products m^H D c of a column m of
the mixing matrix with a vector c (`forms`). L is what `efim` leaves behind: the
factor of the gains' block, then that of the whitened equivalent FIM.

A Hermitian D has real `coordinates`. As the mixing matrix is upper triangular, the entry of the gain
of path h sees columns up to h only, and so does its row of L^-1 J(D) v: half of the work falls away.
Test: tests/engine/beamforming/test_interior.py.
"""

import numpy as np

from ..bound.efim import responses
from ..jit.accelerate import inlined, unmanaged
from ..jit.lanes import everywhere, get, lane_zeros, largest_lane, put, root, where_less
from ..linalg.tiles import TILE, add_products, whole_tiles
from .coordinates import coordinate
from .forms import CurvatureWork, drive, form_pair, imaginary_form, imaginary_pair, see_all, single_form


@inlined
def curvature_work(evaluation, powers):
    """Buffers for an evaluation, over all coordinates of the reduced covariance, or over codeword powers."""
    count = evaluation.problem.mix.shape[0]
    paths = evaluation.problem.coupling.shape[1]
    size = whole_tiles(count if powers else count * count)
    reach = np.full(paths, size)
    own_power = np.zeros(size)
    for h in range(count):
        own_power[h if powers else coordinate(h, h, count)] = 1.0
        if h < paths and not powers:
            reach[h] = whole_tiles(coordinate(h + 1, h + 1, count))
    columns = 0
    for work in (evaluation.bistatic, evaluation.monostatic):
        gains = 2 * work.gain_columns.shape[1]
        columns = max(columns, work.responses.shape[1] * (gains + work.triangle.shape[0]))
    inner = max(evaluation.bistatic.efim.shape[0], evaluation.monostatic.efim.shape[0])
    kinds = evaluation.problem.bistatic.parameter_of_kind.size
    return CurvatureWork(
        lane_zeros(size, columns + 1 - columns % 2),
        lane_zeros(size, inner + 1 - inner % 2),
        lane_zeros(2 * count, 1),
        lane_zeros(kinds * paths, 2 * count),
        lane_zeros(inner, 4),
        reach,
        own_power,
        powers,
    )


@unmanaged
def add_curvature(evaluation, rho, value, space, out):
    """Lower triangle of out += second derivatives of f / value at the S that was evaluated last, f = value there."""
    _add_link(evaluation, evaluation.problem.bistatic, evaluation.bistatic, rho / value, space, out)
    _add_link(evaluation, evaluation.problem.monostatic, evaluation.monostatic, (1.0 - rho) / value, space, out)


@unmanaged
def _add_link(evaluation, link, work, weight, space, out):
    """The same of one link; nothing is computed where no lane gives it a weight."""
    if not largest_lane(weight) > 0.0:
        return
    n = link.phasor.shape[0]
    each = 2 * work.responses.shape[1]  # columns for a gain: real and imaginary parts
    last = _link_forms(evaluation, link, work, weight, each, space)
    for h in range(n):
        add_products(space.forms, space.reach[link.paths[h]], h * each, (h + 1) * each, out)
    add_products(space.forms, space.forms.shape[0], n * each, last, out)


@unmanaged
def _link_forms(evaluation, link, work, weight, each, space):
    """Columns of a link, times sqrt(2 weight): of gain h from h * each on, then the rest; returns where that ends."""
    count = evaluation.problem.mix.shape[0]
    n = link.phasor.shape[0]
    scale = root(where_less(0.0, weight, 2.0 * weight, 0.0))
    rows = work.responses.shape[1]
    responses(link, work, rows)
    for row in range(rows):
        # MS bounds no nuisance path.
        is_bounded = link.transform.shape[0] > 0 or row % n < link.bounded
        own = scale if is_bounded else everywhere(0.0)
        first = 2 * row
        last = n * each + row * work.triangle.shape[0]
        for s in range(link.parameter_of_kind.size):
            for k in range(n):
                drive(link, work.responses, row, s, k, own, space.driven)
                see_all(evaluation.problem, s * n + k, space)
        for k in range(count):
            if space.powers:
                single_form(evaluation.problem.gram, link, k, k, space, first, each)
                if evaluation.problem.gram_imag.shape[0] > 0:
                    imaginary_form(evaluation.problem.gram_imag, link, k, k, 1.0, space, first, each)
                continue
            e = coordinate(k, k, count)
            single_form(evaluation.problem.mix, link, k, e, space, first, each)
            if evaluation.problem.mix_imag.shape[0] > 0:
                imaginary_form(evaluation.problem.mix_imag, link, k, e, -1.0, space, first, each)
            for i in range(k + 1, count):
                form_pair(evaluation.problem.mix, link, i, k, space, first, each)
                if evaluation.problem.mix_imag.shape[0] > 0:
                    imaginary_pair(evaluation.problem.mix_imag, link, i, k, space, first, each)
        for e in range(0, space.forms.shape[0], TILE):
            _half_solve_gains(link, work, weight, e, first, each, space)
            _half_solve_rest(link, work, weight, own, e, row, last, space)
    return n * each + rows * work.triangle.shape[0]


@unmanaged
def _half_solve_gains(link, work, weight, e, first, each, space):
    """L^-1 in the gains' columns of rows e..e+3 of forms, in place; 0 in the lanes without weight."""
    n = work.gain_columns.shape[1]
    size = n + work.efim.shape[0]
    forms = space.forms
    for k in range(n):
        if e >= space.reach[link.paths[k]]:
            continue
        place = k * each + first
        for r in range(e, e + 4, 2):
            x = get(forms, r, place)
            y = get(forms, r, place + 1)
            z = get(forms, r + 1, place)
            w = get(forms, r + 1, place + 1)
            for h in range(k):
                if e >= space.reach[link.paths[h]]:
                    continue
                p = get(work.gain_columns, k, h)
                q = get(work.gain_columns, size + k, h)
                other = h * each + first
                a = get(forms, r, other)
                b = get(forms, r, other + 1)
                c = get(forms, r + 1, other)
                d = get(forms, r + 1, other + 1)
                x -= p * a - q * b
                y -= p * b + q * a
                z -= p * c - q * d
                w -= p * d + q * c
            scale = get(work.gain_columns, k, k)
            put(forms, where_less(0.0, weight, x * scale, 0.0), r, place)
            put(forms, where_less(0.0, weight, y * scale, 0.0), r, place + 1)
            put(forms, where_less(0.0, weight, z * scale, 0.0), r + 1, place)
            put(forms, where_less(0.0, weight, w * scale, 0.0), r + 1, place + 1)
    for i in range(work.efim.shape[0]):
        x = get(space.raw, e, i)
        y = get(space.raw, e + 1, i)
        z = get(space.raw, e + 2, i)
        w = get(space.raw, e + 3, i)
        for h in range(n):
            if e >= space.reach[link.paths[h]]:
                continue
            p = get(work.gain_columns, n + i, h)
            q = get(work.gain_columns, size + n + i, h)
            place = h * each + first
            x -= p * get(forms, e, place) - q * get(forms, e, place + 1)
            y -= p * get(forms, e + 1, place) - q * get(forms, e + 1, place + 1)
            z -= p * get(forms, e + 2, place) - q * get(forms, e + 2, place + 1)
            w -= p * get(forms, e + 3, place) - q * get(forms, e + 3, place + 1)
        put(space.rest, x, i, 0)
        put(space.rest, y, i, 1)
        put(space.rest, z, i, 2)
        put(space.rest, w, i, 3)


@unmanaged
def _half_solve_rest(link, work, weight, scale, e, row, last, space):
    """L^-1 of what the gains leave of angles and delays into rows e..e+3 of forms, from column `last` on."""
    inner = work.efim.shape[0]
    forms = space.forms
    rest = space.rest
    for a in range(work.triangle.shape[0]):
        x = get(rest, a, 0)
        y = get(rest, a, 1)
        z = get(rest, a, 2)
        w = get(rest, a, 3)
        if link.transform.shape[0] > 0:
            x = everywhere(0.0)
            y = everywhere(0.0)
            z = everywhere(0.0)
            w = everywhere(0.0)
            for i in range(inner):
                p = get(link.transform, i, a)
                x += p * get(rest, i, 0)
                y += p * get(rest, i, 1)
                z += p * get(rest, i, 2)
                w += p * get(rest, i, 3)
        if link.prior.shape[0] > 0:  # J(D) has the prior for the power of D
            p = scale * get(work.prior_responses, a, row)
            x += space.own_power[e] * p
            y += space.own_power[e + 1] * p
            z += space.own_power[e + 2] * p
            w += space.own_power[e + 3] * p
        for b in range(a):
            p = get(work.triangle, a, b)
            x -= p * get(forms, e, last + b)
            y -= p * get(forms, e + 1, last + b)
            z -= p * get(forms, e + 2, last + b)
            w -= p * get(forms, e + 3, last + b)
        own = get(work.triangle, a, a)
        put(forms, where_less(0.0, weight, x * own, 0.0), e, last + a)
        put(forms, where_less(0.0, weight, y * own, 0.0), e + 1, last + a)
        put(forms, where_less(0.0, weight, z * own, 0.0), e + 2, last + a)
        put(forms, where_less(0.0, weight, w * own, 0.0), e + 3, last + a)
