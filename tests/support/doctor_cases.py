"""Lines of the doctor, as its tests look at them."""

from crbatch.jobs.doctor.lines import Line


def states(lines: list[Line]) -> dict[tuple[str, str], str]:
    assert len({(line.part, line.check) for line in lines}) == len(lines)
    for line in lines:
        assert (line.state == "ok") == (line.advice == ""), line
        assert line.found
        assert "\n" not in line.found + line.advice
    return {(line.part, line.check): line.state for line in lines}
