"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const number = (v) => (v === null ? NaN : v === "inf" ? Infinity : v === "-inf" ? -Infinity : v);
  const find = (id) => document.getElementById(id);
  const state = { rho: Math.floor((data.rho.length - 1) / 2), at: data.sweep.map(() => 0), off: new Set() };
  const order = data.rho.map((_, i) => i).sort((a, b) => data.rho[a] - data.rho[b]);
  const middle = data.levels.indexOf(0.5);
  document.documentElement.classList.add("js");

  // The swept point as one index: the last key runs fastest.
  const point = () => data.sweep.reduce((sum, key, i) => sum * key.values.length + state.at[i], 0);
  const length = (v) => {
    if (Number.isNaN(v)) return "no value";
    if (!Number.isFinite(v)) return v > 0 ? "infinite" : "no limit";
    const [scale, unit] = v < 0.01 ? [1e3, "mm"] : v < 1 ? [1e2, "cm"] : v < 1e3 ? [1, "m"] : [1e-3, "km"];
    return `${Number((v * scale).toPrecision(4))} ${unit}`;
  };

  const make = (name, attributes, parent, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  };

  const ticksOf = (low, high, log) => {
    const ticks = [];
    if (log && high / low > 8) {
      for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++)
        for (const m of high / low > 300 ? [1] : [1, 2, 5]) ticks.push(m * 10 ** e);
    } else {
      const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
      for (let k = Math.ceil(low / step); k * step <= high; k++) ticks.push(k * step);
    }
    return ticks.filter((t) => t >= low && t <= high);
  };

  const axis = (values, log, from, to) => {
    const finite = values.filter((v) => Number.isFinite(v) && (!log || v > 0));
    let low = finite.length ? Math.min(...finite) : log ? 0.1 : 0;
    let high = finite.length ? Math.max(...finite) : 1;
    if (log) { const room = Math.max((high / low) ** 0.05, 1.01); low /= room; high *= room; }
    const f = log ? Math.log : (v) => v;
    const scale = (v) => from + ((f(v) - f(low)) / (f(high) - f(low) || 1)) * (to - from);
    return { scale, ticks: ticksOf(low, high, log) };
  };

  const tip = find("tip");
  const show = (event, text) => {
    tip.textContent = text;
    tip.style.visibility = "visible";
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - box.width - 4))}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 12, innerHeight - box.height - 4))}px`;
  };
  const hide = () => { tip.style.visibility = "hidden"; };

  // series: {color, dash, points: [{x, y, low, high, left, right, text}], band}
  const chart = (svg, series, { xLabel, yLabel, xLog, yLog, dots }) => {
    svg.replaceChildren();
    const all = series.flatMap((s) => s.points);
    const limits = (name, names) => all.flatMap((p) => [p[name], ...names.map((n) => p[n])]).filter((v) => v !== undefined);
    const x = axis(limits("x", ["left", "right"]), xLog, 62, 450);
    const y = axis(limits("y", ["low", "high"]), yLog, 296, 8);
    for (const t of x.ticks) {
      make("line", { x1: x.scale(t), x2: x.scale(t), y1: 8, y2: 296, stroke: "#e3e5e8" }, svg);
      make("text", { x: x.scale(t), y: 312, "text-anchor": "middle" }, svg, Number(t.toPrecision(4)));
    }
    for (const t of y.ticks) {
      make("line", { x1: 62, x2: 450, y1: y.scale(t), y2: y.scale(t), stroke: "#e3e5e8" }, svg);
      make("text", { x: 57, y: y.scale(t) + 4, "text-anchor": "end" }, svg, Number(t.toPrecision(4)));
    }
    make("rect", { x: 62, y: 8, width: 388, height: 288, fill: "none", stroke: "#8a9098" }, svg);
    make("text", { x: 256, y: 333, "text-anchor": "middle" }, svg, xLabel);
    make("text", { x: 0, y: 0, "text-anchor": "middle", transform: "translate(13 152) rotate(-90)" }, svg, yLabel);
    for (const s of series) {
      const good = s.points.filter((p) => Number.isFinite(p.x) && Number.isFinite(p.y));
      if (s.band) {
        const inside = good.filter((p) => Number.isFinite(p.low) && Number.isFinite(p.high));
        const edge = [...inside.map((p) => [p.x, p.high]), ...inside.reverse().map((p) => [p.x, p.low])];
        const d = edge.map(([a, b]) => `${x.scale(a)},${y.scale(b)}`).join(" ");
        make("polygon", { points: d, fill: s.color, opacity: 0.07 }, svg);
      }
      const line = good.map((p) => `${x.scale(p.x)},${y.scale(p.y)}`).join(" ");
      make("polyline", { points: line, fill: "none", stroke: s.color, "stroke-width": 1.8,
        "stroke-dasharray": s.dash ? "6 3" : "none" }, svg);
      for (const p of good) {
        if (!s.band && Number.isFinite(p.low) && Number.isFinite(p.high))
          make("line", { x1: x.scale(p.x), x2: x.scale(p.x), y1: y.scale(p.low), y2: y.scale(p.high), stroke: s.color }, svg);
        if (Number.isFinite(p.left) && Number.isFinite(p.right))
          make("line", { x1: x.scale(p.left), x2: x.scale(p.right), y1: y.scale(p.y), y2: y.scale(p.y), stroke: s.color }, svg);
        const size = p.marked ? 5.5 : dots ? 2.6 : 0;
        if (size) make("circle", { cx: x.scale(p.x), cy: y.scale(p.y), r: size, fill: s.dash ? "#fff" : s.color, stroke: s.color }, svg);
        const target = make("circle", { cx: x.scale(p.x), cy: y.scale(p.y), r: 9, fill: "transparent", class: "target" }, svg);
        target.addEventListener("pointermove", (event) => show(event, p.text));
        target.addEventListener("pointerdown", (event) => show(event, p.text));
        target.addEventListener("pointerleave", hide);
      }
    }
  };

  const shown = () => data.schemes.map((s, i) => [s, i]).filter(([, i]) => !state.off.has(i));
  const at = (metric, s, r, level) => number(data.quantiles[metric][point()][s][r][level]);
  const interval = (metric, s, r) => data.intervals[metric][point()][s][r].map(number);

  const tradeoff = () => chart(find("tradeoff"), shown().map(([scheme, s]) => ({
    ...scheme,
    points: order.map((r) => {
      const [left, right] = interval("crb_ms", s, r), [low, high] = interval("crb_bp", s, r);
      const x = at("crb_ms", s, r, middle), y = at("crb_bp", s, r, middle);
      const text = `${scheme.name}, rho = ${data.rho[r]}\nBP ${length(y)} (${length(low)} to ${length(high)})\n`
        + `MS ${length(x)} (${length(left)} to ${length(right)})`;
      return { x, y, left, right, low, high, text, marked: r === state.rho };
    }),
  })), { xLabel: data.metrics.crb_ms, yLabel: data.metrics.crb_bp, xLog: true, yLog: true, dots: true });

  const distribution = (id, metric) => chart(find(id), shown().map(([scheme, s]) => ({
    ...scheme,
    points: data.levels.map((level, i) => {
      const x = at(metric, s, state.rho, i);
      return { x, y: level, text: `${scheme.name}\n${Number((100 * level).toPrecision(4))} % of draws are below ${length(x)}` };
    }),
  })), { xLabel: data.metrics[metric], yLabel: "share of draws", xLog: true });

  const [low, high] = [0.05, 0.95].map((v) => data.levels.findIndex((l) => Math.abs(l - v) < 1e-9));
  const along = () => chart(find("along"), shown().map(([scheme, s]) => ({
    ...scheme,
    band: true,
    points: order.map((r) => {
      const [y, a, b] = [middle, low, high].map((level) => at("crb_bp", s, r, level));
      const text = `${scheme.name}, rho = ${data.rho[r]}\nmedian ${length(y)}, 5 to 95 %: ${length(a)} to ${length(b)}`;
      return { x: data.rho[r], y, low: a, high: b, text };
    }),
  })), { xLabel: "rho", yLabel: data.metrics.crb_bp, yLog: true });

  const table = () => {
    const place = state.at.join("-");
    for (const row of find("quantiles").tBodies[0].rows)
      row.hidden = row.dataset.point !== place || Number(row.dataset.r) !== state.rho || state.off.has(Number(row.dataset.s));
  };

  const draw = () => {
    find("rho-value").textContent = data.rho[state.rho];
    tradeoff();
    distribution("cdf-bp", "crb_bp");
    distribution("cdf-ms", "crb_ms");
    along();
    table();
  };

  const slider = find("rho");
  slider.max = data.rho.length - 1;
  state.rho = order[Math.floor((order.length - 1) / 2)];
  slider.value = order.indexOf(state.rho);
  slider.addEventListener("input", () => { state.rho = order[slider.value]; draw(); });
  data.sweep.forEach((key, i) => {
    const label = document.createElement("label"), select = document.createElement("select");
    select.id = `sweep-${i}`;
    key.values.forEach((value, j) => select.add(new Option(value, j)));
    select.addEventListener("change", () => { state.at[i] = Number(select.value); draw(); });
    label.append(key.name, select);
    find("sweep").append(label);
  });
  data.schemes.forEach((scheme, i) => {
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "checkbox";
    box.id = `scheme-${i}`;
    box.checked = true;
    box.style.accentColor = scheme.color;
    box.addEventListener("change", () => { box.checked ? state.off.delete(i) : state.off.add(i); draw(); });
    const swatch = document.createElement("span");
    swatch.style.cssText = `width:1.6em;border-top:3px ${scheme.dash ? "dashed" : "solid"} ${scheme.color}`;
    label.append(box, swatch, scheme.name);
    find("schemes").append(label);
  });
  addEventListener("scroll", hide, { passive: true });
  draw();
})();
