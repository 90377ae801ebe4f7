"""What a figure shows, read back from the drawn artists."""

from itertools import combinations


def panels(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def legend_of(figure):
    assert len(figure.legends) == 1
    return [text.get_text() for text in figure.legends[0].get_texts()]


def overlaps(figure):
    """Pairs of texts that lie on each other, and texts that leave the page."""
    renderer = figure.canvas.get_renderer()
    texts = [t for axes in panels(figure) for t in (*axes.texts, axes.title, axes._left_title, axes.xaxis.label)]
    for axes in panels(figure):
        low, high = sorted(axes.get_ylim())  # ticks beyond the limits exist, but are not drawn
        texts += [axes.yaxis.label, *(t for t in axes.get_yticklabels() if low <= t.get_position()[1] <= high)]
    texts += [t for legend in figure.legends for t in legend.get_texts()]
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in texts if t.get_text()]
    width, height = figure.bbox.size
    out = [name for name, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height]
    return out, [(a[0], b[0]) for a, b in combinations(boxes, 2) if a[1].overlaps(b[1])]


def rendered(figure):
    """The figure after a drawing at screen resolution, for its texts' places."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()
    return figure
