// Live figures: native controls, canvas panels and readouts around one function, engine.run(values) -> outputs.
// No dependencies. `load`, `loadInWorker` and `decode` come from compiler/runtime.js, which script.py puts before this.

const COLOURS = {
  ink: "#1f2328", faint: "#b8bec6", theta: "#0072b2", omega: "#d55e00",
  green: "#00805e", purple: "#a8508a", gold: "#a87400", sky: "#2f8fc4",
};
const VIRIDIS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129],
  [92, 200, 99], [170, 220, 50], [253, 231, 37]];
const FAR = 1e5; // no pixel coordinate is drawn beyond this

// ---------------------------------------------------------------------------------------------- small things

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

const clamp = (value, lower, upper) => Math.min(Math.max(value, lower), upper);
const rounded = (value, digits = 6) => Number(value.toPrecision(digits));
const minus = (text) => String(text).replaceAll("-", "−");

/** A number as text, with so many significant digits; views.number in Python writes the same. */
function number(value, digits = 3) {
  if (Number.isNaN(value)) return "not a number";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = rounded(Math.abs(value), digits), short = size === 0 || (size >= 1e-4 && size < 1e6);
  const text = short ? String(size) : size.toExponential(digits - 1).replace(/\.?0*e\+?/, "e");
  return minus(value < 0 ? `-${text}` : text);
}

/** The smallest of 1, 2, 5 times a power of ten that is not below `value`. */
function niceStep(value) {
  const power = 10 ** Math.floor(Math.log10(value) + 1e-9);
  return rounded(power * [1, 2, 5, 10].find((factor) => factor * power >= value * (1 - 1e-9)));
}

// ------------------------------------------------------------------------------------------------- engines

/** The compiled simulation: in a worker, so that the page never waits for a run; here where workers are forbidden. */
function browserEngine(bytes, manifest) {
  const start = async () => {
    const module = await bytes;
    return loadInWorker(module, manifest).catch(() => load(module, manifest));
  };
  const ready = start();
  return { run: async (values) => (await ready)(values), stop: async () => (await ready).stop?.() };
}

/** The jitted function in a Jupyter kernel, asked by message. */
function kernelEngine(model, name) {
  let serial = 0;
  return {
    raw: true, // takes the controls' own values; the kernel turns them into arguments
    run: (values) => new Promise((resolve, reject) => {
      const id = `${name} ${(serial += 1)}`;
      const answer = (reply, buffers) => {
        if (reply.id !== id) return;
        model.off("msg:custom", answer);
        if (reply.error) reject(new Error(reply.error));
        else resolve(Object.fromEntries(reply.outputs.map((part, k) => [part.path, array(part, buffers[k])])));
      };
      model.on("msg:custom", answer);
      model.send({ id, engine: name, values });
    }),
    stop() {},
  };
}

function array({ dtype, shape }, { buffer, byteOffset, byteLength }) {
  const views = { float32: Float32Array, int32: Int32Array, uint32: Uint32Array };
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  return { data: new views[dtype](buffer.slice(byteOffset, byteOffset + byteLength)), shape, strides };
}

// ---------------------------------------------------------------------------------------- reading outputs

/** An output as columns over time: entry k of series j is at(k, j). */
function columns({ data, shape, strides }) {
  const [along = 0, across = 0] = strides;
  return { length: shape[0] ?? 1, count: shape[1] ?? 1, at: (k, j = 0) => data[k * along + j * across] };
}

const isOverTime = ({ mark, x }, outputs) => mark === "Path" || (mark === "Points" && outputs[x].shape.length === 2);

// --------------------------------------------------------------------------------------------------- marks

// Each mark draws with a pen {context, x, y, area, colours, time, last}: x and y place data, `time` is the step shown.
const MARKS = {
  Path(pen, mark, outputs) {
    const x = columns(outputs[mark.x]), y = columns(outputs[mark.y]);
    const { context } = pen, end = Math.min(x.length, Math.floor(pen.time) + 1);
    context.strokeStyle = context.fillStyle = pen.colours[mark.color];
    context.lineWidth = mark.dots ? 1 : 1.6;
    context.globalAlpha = opacity(x.count);
    for (let j = 0; j < x.count; j += 1) {
      stroke(pen, end, (k) => x.at(k, j), (k) => y.at(k, j), mark.dots);
      dot(context, pen.x(x.at(0, j)), pen.y(y.at(0, j)), 3.5);
      if (end < x.length) dot(context, pen.x(x.at(end - 1, j)), pen.y(y.at(end - 1, j)), 4.5);
    }
  },

  Density(pen, mark, outputs) {
    const x = columns(outputs[mark.x]), y = columns(outputs[mark.y]);
    const { left, top, width, height } = pen.area;
    const counts = new Uint32Array(width * height);
    let most = 1;
    for (let j = 0; j < x.count; j += 1) {
      for (let k = 0; k < x.length; k += 1) {
        const column = Math.floor(pen.x(x.at(k, j)) - left), row = Math.floor(pen.y(y.at(k, j)) - top);
        if (column >= 0 && column < width && row >= 0 && row < height) {
          most = Math.max(most, (counts[row * width + column] += 1));
        }
      }
    }
    const colour = rgb(pen.colours[mark.color]), shade = 255 / Math.log1p(most);
    picture(pen, width, height, (k, pixels) => {
      if (counts[k]) pixels.set([...colour, shade * Math.log1p(counts[k])], 4 * k);
    });
  },

  Line(pen, mark, outputs) {
    const y = columns(outputs[mark.y]), x = mark.x ? columns(outputs[mark.x]) : { count: 1, at: (k) => k };
    const shown = !mark.dashed && y.length === pen.last + 1 ? Math.min(y.length, Math.floor(pen.time) + 1) : y.length;
    theoryOr(pen, mark.dashed, mark.color, opacity(y.count));
    for (let j = 0; j < y.count; j += 1) stroke(pen, shown, (k) => x.at(k, x.count > 1 ? j : 0), (k) => y.at(k, j));
  },

  Points(pen, mark, outputs) {
    const { context } = pen, { shape } = outputs[mark.x];
    const x = columns(outputs[mark.x]), y = columns(outputs[mark.y]);
    context.strokeStyle = context.fillStyle = pen.colours[mark.color];
    context.lineWidth = 2;
    const put = (k, j) => marker(context, mark, pen.x(x.at(k, j)), pen.y(y.at(k, j)));
    if (shape.length === 2) for (let j = 0; j < x.count; j += 1) put(Math.min(x.length - 1, Math.floor(pen.time)), j);
    else for (let k = 0; k < x.length; k += 1) put(k, 0);
  },

  Arrows(pen, mark, outputs) {
    const u = columns(outputs[mark.u]), v = columns(outputs[mark.v]), { context, area } = pen;
    const speed = (i, j) => Math.hypot(u.at(i, j), v.at(i, j));
    let most = 1e-30;
    for (let i = 0; i < u.length; i += 1) for (let j = 0; j < u.count; j += 1) most = Math.max(most, speed(i, j));
    const size = (0.6 * Math.min(area.width, area.height)) / Math.max(u.length, u.count);
    context.strokeStyle = pen.colours.ink;
    context.lineWidth = 1.2;
    for (let i = 0; i < u.length; i += 1) {
      for (let j = 0; j < u.count; j += 1) {
        if (!speed(i, j)) continue;
        const x = area.left + (area.width * i) / (u.length - 1), y = area.top + area.height * (1 - j / (u.count - 1));
        // The direction is that of the arrow on the screen: axes may have different scales.
        context.globalAlpha = 0.25 + (0.6 * speed(i, j)) / most;
        arrow(context, x, y, size, Math.atan2(-v.at(i, j) * Math.abs(pen.y.factor), u.at(i, j) * pen.x.factor));
      }
    }
  },

  Circle(pen, mark) {
    theoryOr(pen, true);
    const turn = (k) => (2 * Math.PI * k) / 180;
    stroke(pen, 181, (k) => mark.radius * Math.cos(turn(k)), (k) => mark.radius * Math.sin(turn(k)));
  },

  Heat(pen, mark, outputs) {
    const z = columns(outputs[mark.z]), [width, height] = outputs[mark.z].shape;
    const ink = mark.color && rgb(pen.colours[mark.color]);
    picture(pen, width, height, (k, pixels) => {
      const value = z.at(k % width, height - 1 - Math.floor(k / width)); // NaN stays empty
      const part = clamp((value - mark.lower) / (mark.upper - mark.lower), 0, 1);
      if (part === part) pixels.set(ink ? [...ink, 255 * part] : [...viridis(part), 255], 4 * k);
    });
  },

  Histogram(pen, mark, outputs) {
    const { lower, upper } = pen.panel.x, counts = new Float64Array(mark.bins), width = (upper - lower) / mark.bins;
    let total = 0;
    for (const value of outputs[mark.values].data) {
      if (!Number.isFinite(value)) continue;
      total += 1;
      if (value >= lower && value <= upper) counts[Math.min(mark.bins - 1, Math.floor((value - lower) / width))] += 1;
    }
    pen.context.fillStyle = pen.colours[mark.color];
    pen.context.globalAlpha = 0.6;
    counts.forEach((count, k) => {
      const left = pen.x(lower + k * width), top = pen.y(count / Math.max(total, 1) / width);
      pen.context.fillRect(left, top, pen.x(lower + (k + 1) * width) - left + 0.3, pen.y(pen.panel.y.lower) - top);
    });
  },

  Rule(pen, mark, outputs) {
    theoryOr(pen, true);
    const at = typeof mark.at === "string" ? outputs[mark.at].data[0] : mark.at, { x, y } = pen.panel;
    if (mark.axis === "y") stroke(pen, 2, (k) => [x.lower, x.upper][k], () => at);
    else stroke(pen, 2, () => at, (k) => [y.lower, y.upper][k]);
  },
};

const opacity = (count) => (count === 1 ? 1 : Math.max(0.15, count ** -0.5));

function theoryOr({ context, colours }, dashed, colour, alpha = 1) {
  context.strokeStyle = colours[dashed ? "ink" : colour];
  context.lineWidth = dashed ? 1.4 : 1.8;
  context.setLineDash(dashed ? [6, 4] : []);
  context.globalAlpha = alpha;
}

/** Join points; gaps where they are not finite; nothing for steps too small to be seen. */
function stroke({ context, x, y }, length, atX, atY, dots = false) {
  let joined = false, lastX = 0, lastY = 0;
  context.beginPath();
  for (let k = 0; k < length; k += 1) {
    const px = x(atX(k)), py = y(atY(k));
    if (Number.isNaN(px + py)) {
      joined = false;
    } else if (!joined || k === length - 1 || Math.abs(px - lastX) + Math.abs(py - lastY) > 0.7) {
      joined ? context.lineTo(px, py) : context.moveTo(px, py);
      if (dots) context.fillRect(px - 1.5, py - 1.5, 3, 3);
      [joined, lastX, lastY] = [true, px, py];
    }
  }
  context.stroke();
}

function dot(context, x, y, radius) {
  if (Number.isNaN(x + y)) return;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function marker(context, { marker: shape, radius }, x, y) {
  if (Number.isNaN(x + y)) return;
  if (shape === "circle") return dot(context, x, y, radius);
  const corners = {
    square: [[-4, -4], [4, -4], [4, 4], [-4, 4]],
    triangle: [[0, -5], [5, 4], [-5, 4]],
    cross: [[-4, -4], [4, 4], [0, 0], [4, -4], [-4, 4]],
  }[shape];
  context.beginPath();
  corners.forEach(([dx, dy]) => context.lineTo(x + (dx * radius) / 4.5, y + (dy * radius) / 4.5));
  shape === "cross" ? context.stroke() : context.fill();
}

function arrow(context, x, y, size, angle) {
  const along = [Math.cos(angle) * size / 2, Math.sin(angle) * size / 2];
  const [tipX, tipY] = [x + along[0], y + along[1]];
  context.beginPath();
  context.moveTo(x - along[0], y - along[1]);
  context.lineTo(tipX, tipY);
  for (const turn of [2.6, -2.6]) {
    context.moveTo(tipX, tipY);
    context.lineTo(tipX + 0.35 * size * Math.cos(angle + turn), tipY + 0.35 * size * Math.sin(angle + turn));
  }
  context.stroke();
}

/** Fill the plotting area with an image of width x height pixels, first row on top; give(k, pixels) may set pixel k. */
function picture({ context, area }, width, height, give) {
  const sheet = new ImageData(width, height);
  for (let k = 0; k < width * height; k += 1) give(k, sheet.data);
  const canvas = make("canvas", { width, height });
  canvas.getContext("2d").putImageData(sheet, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, area.left, area.top, area.width, area.height);
}

function viridis(fraction) {
  const place = fraction * (VIRIDIS.length - 1), low = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return VIRIDIS[low].map((part, k) => part + (place - low) * (VIRIDIS[low + 1][k] - part));
}

const rgb = (hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));

// --------------------------------------------------------------------------------------------------- panels

/** A function from data to pixels, with its inverse. */
function scale({ lower, upper, log }, from, to) {
  const forward = log ? Math.log10 : (value) => value;
  const low = forward(lower), factor = (to - from) / (forward(upper) - low);
  const place = (value) => clamp(from + (forward(value) - low) * factor, -FAR, FAR);
  place.invert = (pixel) => (log ? 10 ** (low + (pixel - from) / factor) : low + (pixel - from) / factor);
  place.factor = factor;
  return place;
}

function ticks({ lower, upper, log, label }, count) {
  const found = [];
  if (label === "") return found; // an axis without a name is none
  if (!log) {
    const step = niceStep((0.75 * (upper - lower)) / count), decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    for (let k = Math.ceil(lower / step - 1e-9); k * step <= upper + 1e-9 * step; k += 1) {
      found.push([k * step, minus((k * step).toFixed(decimals).replace(/^-(0(\.0*)?)$/, "$1"))]);
    }
    return found;
  }
  const decades = Math.log10(upper / lower), every = Math.ceil(decades / count);
  for (let power = Math.ceil(Math.log10(lower) - 1e-9); power <= Math.log10(upper) + 1e-9; power += 1) {
    const text = Math.abs(power) < 4 ? number(10 ** power) : `10${raised(power)}`;
    if (power % every === 0) found.push([10 ** power, text]);
  }
  if (decades > 2.5) return found;
  for (let power = Math.floor(Math.log10(lower)); power <= Math.log10(upper); power += 1) {
    for (const factor of [2, 5]) {
      const at = rounded(factor * 10 ** power);
      if (at >= lower && at <= upper) found.push([at, number(at)]);
    }
  }
  return found;
}

const raised = (power) => [...String(power)].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign])).join("");

/** Draw one panel and return its scales, so that a pointer can be read back. */
function drawPanel(canvas, panel, outputs, { colours, font, time, last }) {
  const width = canvas.clientWidth, bar = panel.marks.find((mark) => mark.mark === "Heat" && !mark.color);
  const context = canvas.getContext("2d");
  context.font = `12px ${font}`;
  const widest = (found) => Math.max(0, ...found.map(([, label]) => context.measureText(label).width));
  const area = { left: Math.ceil(widest(ticks(panel.y, 6))) + 30, top: panel.title ? 26 : 10 };
  area.width = Math.max(width - area.left - (bar ? 74 : Math.max(12, widest(ticks(panel.x, 4)) / 2)), 40);
  const shape = panel.aspect === "equal" ? (panel.y.upper - panel.y.lower) / (panel.x.upper - panel.x.lower) : 0.7;
  area.height = Math.round(area.width * shape);
  const height = area.top + area.height + 42, ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  const { left, top } = area, right = left + area.width, bottom = top + area.height;
  const x = scale(panel.x, left, right), y = scale(panel.y, bottom, top);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = `12px ${font}`;

  const line = (x1, y1, x2, y2) => {
    context.beginPath();
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
    context.stroke();
  };
  const write = (text, at, from, align, baseline) => {
    [context.textAlign, context.textBaseline] = [align, baseline];
    context.fillText(text, at, from);
  };
  context.fillStyle = colours.ink;
  context.strokeStyle = colours.faint;
  context.lineWidth = 0.6;
  for (const [at, label] of ticks(panel.x, Math.max(2, area.width / 70))) {
    line(x(at), top, x(at), bottom);
    write(label, x(at), bottom + 6, "center", "top");
  }
  for (const [at, label] of ticks(panel.y, Math.max(2, Math.min(6, area.height / 35)))) {
    line(left, y(at), right, y(at));
    write(label, left - 6, y(at), "right", "middle");
  }
  context.strokeStyle = colours.ink;
  context.lineWidth = 1;
  line(left, top, left, bottom);
  line(left, bottom, right, bottom);
  context.font = `13px ${font}`;
  write(panel.x.label, (left + right) / 2, height - 2, "center", "bottom");
  write(panel.title, (left + right) / 2, 4, "center", "top");
  context.save();
  context.rotate(-Math.PI / 2);
  write(panel.y.label, -(top + bottom) / 2, 2, "center", "top");
  context.restore();
  if (bar) drawBar(context, bar, right + 12, area, font, colours);

  if (outputs) {
    for (const mark of panel.marks) {
      context.save();
      context.beginPath();
      context.rect(left, top - 1, area.width + 1, area.height + 1);
      context.clip();
      MARKS[mark.mark]({ context, x, y, area, panel, colours, time, last }, mark, outputs);
      context.restore();
    }
  }
  return { x, y };
}

function drawBar(context, mark, left, area, font, colours) {
  for (let k = 0; k < area.height; k += 1) {
    context.fillStyle = `rgb(${viridis(1 - k / area.height)})`;
    context.fillRect(left, area.top + k, 12, 1.5);
  }
  context.fillStyle = colours.ink;
  context.font = `12px ${font}`;
  [context.textAlign, context.textBaseline] = ["left", "middle"];
  const place = scale(mark, area.top + area.height, area.top);
  for (const [at, label] of ticks({ ...mark, label: null }, 4)) context.fillText(label, left + 16, place(at));
  context.save();
  context.rotate(-Math.PI / 2);
  [context.textAlign, context.textBaseline] = ["center", "bottom"];
  context.fillText(mark.label, -(area.top + area.height / 2), left + 62);
  context.restore();
}

/** The panel in words, for readers who hear it. */
function describe(panel, outputs) {
  const at = (mark, k) => `(${[mark.x, mark.y].map((name) => number(columns(outputs[name]).at(k))).join(", ")})`;
  const words = panel.marks.map((mark) => {
    const kind = mark.mark.toLowerCase(), name = mark.label ? `${mark.label} (${kind})` : kind;
    if (mark.mark === "Path") return `${name} from ${at(mark, 0)} to ${at(mark, outputs[mark.x].shape[0] - 1)}`;
    if (mark.mark === "Line") {
      const y = columns(outputs[mark.y]);
      return `${name} from ${number(y.at(0))} to ${number(y.at(y.length - 1))}`;
    }
    const { shape } = outputs[mark.x] ?? {};
    if (mark.mark === "Points" && shape.length < 2 && (shape[0] ?? 1) <= 4) {
      return `${name} at ${Array.from({ length: shape[0] ?? 1 }, (_, k) => at(mark, k)).join(" and ")}`;
    }
    return name;
  });
  return `${panel.title ? `${panel.title}. ` : ""}${panel.y.label} against ${panel.x.label}: ${words.join("; ")}.`;
}

function legend(panel) {
  const entries = panel.marks.filter((mark) => mark.label && mark.mark !== "Heat").map((mark) => {
    const theory = mark.dashed || mark.mark === "Circle" || mark.mark === "Rule";
    const spot = ["Points", "Density", "Histogram"].includes(mark.mark) && (mark.marker ?? "square");
    const kind = spot || (theory ? "dashed" : "solid");
    const colour = theory || mark.mark === "Arrows" ? "ink" : mark.color;
    const style = `color: var(--gansde-${colour}, ${COLOURS[colour]})`;
    return make("li", {}, make("i", { class: kind, style, "aria-hidden": "true" }), mark.label);
  });
  return entries.length ? [make("ul", { class: "gansde-legend" }, ...entries)] : [];
}

// ------------------------------------------------------------------------------------------------- controls

// Each control gives {node, show(value), parse(text), argument(value)}; `set` is called when the reader changes it.
const CONTROLS = {
  Slider({ label, lower, upper, start, log, integer }, set) {
    const step = log ? 1 : Math.max(niceStep((upper - lower) / 200), integer ? 1 : 0);
    const last = log ? 200 : Math.ceil((upper - lower) / step - 1e-9);
    const decades = (value) => (200 * Math.log(value / lower)) / Math.log(upper / lower);
    const position = (value) => Math.round(log ? decades(value) : (value - lower) / step);
    const tidy = (value) => clamp(integer ? Math.round(value) : value, lower, upper);
    // Positions are whole numbers, values short ones, but never so short that two positions share one;
    // a start between two positions takes the place of the nearest.
    const digits = log ? 1 - Math.floor(Math.log10((upper / lower) ** (1 / 200) - 1)) : 6;
    const value = (k) => (k === position(start) ? start
      : tidy(k === last ? upper : rounded(log ? lower * (upper / lower) ** (k / 200) : lower + k * step, digits)));
    const output = make("output");
    const input = make("input", { type: "range", min: 0, max: last, step: 1, "aria-label": label });
    input.oninput = () => set(value(input.valueAsNumber));
    return {
      node: make("label", { class: "gansde-slider" }, make("span", {}, label), input, output),
      show(now) {
        input.value = position(now);
        output.value = number(now);
        input.setAttribute("aria-valuetext", number(now));
      },
      parse: (text) => (text !== "" && Number.isFinite(Number(text)) ? tidy(Number(text)) : undefined),
    };
  },

  Choice({ label, options }, set, id) {
    const inputs = Object.keys(options).map((option) =>
      make("input", { type: "radio", name: id, value: option, onchange: () => set(option) }));
    const labels = inputs.map((input) => make("label", {}, input, input.value));
    return {
      node: make("fieldset", {}, make("legend", {}, label), ...labels),
      show: (now) => inputs.forEach((input) => { input.checked = input.value === now; }),
      parse: (text) => (Object.hasOwn(options, text) ? text : undefined),
      argument: (now) => options[now],
    };
  },

  Seed({ label }, set) {
    const parse = (text) => (/^\d+$/.test(text) ? Number(text) % 2 ** 32 : undefined);
    const input = make("input", { type: "number", min: 0, max: 2 ** 32 - 1, step: 1 });
    input.oninput = () => set(parse(input.value));
    const roll = make("button", { type: "button", onclick: () => set((Number(input.value) + 1) % 2 ** 32) }, "re-roll");
    return {
      node: make("div", { class: "gansde-row" }, make("label", {}, make("span", {}, label), input), roll),
      show: (now) => { if (input.value !== String(now)) input.value = now; },
      parse,
    };
  },

  Point({ label, lower, upper, parts }, set) {
    const inside = (pair) => pair.map((part, k) => clamp(rounded(part, 3), lower[k], upper[k]));
    const parse = (text) => {
      const pair = text.split(",").map(Number);
      return pair.length === 2 && pair.every(Number.isFinite) ? inside(pair) : undefined;
    };
    const inputs = parts.map((part, k) =>
      make("input", { type: "number", min: lower[k], max: upper[k], step: niceStep((upper[k] - lower[k]) / 50) }));
    const empty = () => inputs.some((input) => input.value === "");
    const read = () => (empty() ? undefined : parse(inputs.map((input) => input.value).join()));
    inputs.forEach((input) => { input.oninput = () => set(read()); });
    return {
      node: make("div", { class: "gansde-row", role: "group", "aria-label": label },
        make("span", {}, label), ...inputs.map((input, k) => make("label", {}, parts[k], input))),
      // The field being typed in keeps its text.
      show: (now) => inputs.forEach((input, k) => { if (input.valueAsNumber !== now[k]) input.value = now[k]; }),
      parse,
      inside,
    };
  },

  Size({ label, start, more }, set, id) {
    const options = Object.fromEntries([start, ...more].map((size) => [size, size]));
    const choice = CONTROLS.Choice({ label, options }, (text) => set(Number(text)), id);
    return { ...choice, show: (now) => choice.show(String(now)), parse: (text) => options[text], kernelOnly: true };
  },
};

// ---------------------------------------------------------------------------------------------- the figure

let figures = 0;

/**
 * Build the live figure inside `root`; returns {set, stop}.
 *
 * engines maps names to functions that make an engine; options: link (whether the address can carry the state),
 * values (a state to begin with) and changed (called with the state when the reader changes it).
 */
function mount(root, spec, engines, { link = false, values: given = {}, changed = () => {} } = {}) {
  const { panels, readouts } = spec.view, still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const starts = Object.fromEntries(Object.entries(spec.controls).map(([name, control]) => [name, control.start]));
  const values = { ...starts }, figure = `gansde-${(figures += 1)}`;
  let engine = null, outputs = null, wanted = false, busy = false, frame = 0;
  let time = Infinity, last = 0, playing = 0, quiet = 0, scales = [];

  // Controls and buttons

  const controls = Object.fromEntries(Object.entries(spec.controls).map(([name, control]) =>
    [name, CONTROLS[control.control](control, (value) => set({ [name]: value }), `${figure}-${name}`)]));
  const button = (text, onclick) => make("button", { type: "button", onclick }, text);
  const names = Object.keys(engines);
  const chooser = CONTROLS.Choice({ label: "engine", options: engines }, choose, `${figure}-engine`);
  chooser.node.hidden = names.length < 2;
  const play = button("play", () => (playing ? pause() : start()));
  const slow = make("input", { type: "checkbox" });
  const scrubber = make("input", { type: "range", min: 0, "aria-label": "steps shown" });
  scrubber.oninput = () => { pause(); seek(scrubber.valueAsNumber); };
  const shown = make("output");
  const transport = make("div", { class: "gansde-row", hidden: true },
    ...(still ? [] : [play, make("label", {}, slow, "slow motion")]),
    button("step", () => { pause(); seek((time >= last ? 0 : time) + Number(scrubber.step)); }),
    make("label", { class: "gansde-slider" }, make("span", {}, "steps shown"), scrubber, shown));
  const status = make("p", { class: "gansde-status" });
  const heard = make("p", { class: "gansde-heard", "aria-live": "polite" });
  const links = link ? [button("copy link", copy)] : [];
  const buttons = make("div", { class: "gansde-row" }, button("reset", reset), ...links, status);
  const texts = readouts.map(() => make("output"));
  const canvases = panels.map(() => make("canvas", { role: "img", "aria-label": spec.alt ?? root.querySelector("[role=img]")?.getAttribute("aria-label") ?? "a live figure" }));
  const frames = panels.map((panel, k) => make("div", { class: "gansde-panel" }, canvases[k], ...legend(panel)));
  const handles = panels.map((panel, k) => panel.drag && makeHandle(panel, k));
  const app = make("div", { class: "gansde-app" },
    make("div", { class: "gansde-controls" }, chooser.node, ...Object.values(controls).map((control) => control.node)),
    make("p", { class: "gansde-readouts" }, ...texts.map((text, k) => make("span", {}, `${readouts[k].label}: `, text))),
    make("div", { class: "gansde-panels" }, ...frames), transport, buttons, heard);

  // State

  function set(changes, tell = true) {
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined || !controls[name]) continue;
      values[name] = value;
      controls[name].show(value);
    }
    if (tell) changed({ ...values });
    status.textContent = "";
    request();
  }

  function reset() {
    pause();
    time = Infinity;
    set(starts);
  }

  function choose(name) {
    engine?.stop();
    engine = engines[name]();
    chooser.show(name);
    for (const control of Object.values(controls)) if (control.kernelOnly) control.node.hidden = !engine.raw;
    request();
  }

  function copy() {
    const state = new URLSearchParams(Object.entries(values).map(([name, value]) => [name, String(value)]));
    history.replaceState(null, "", `#${root.id}?${state}`);
    const done = (where) => { status.textContent = `The link to this state is ${where}.`; };
    const kept = () => done("in the address bar");
    navigator.clipboard ? navigator.clipboard.writeText(location.href).then(() => done("copied"), kept) : kept();
  }

  function restore() {
    const [id, state] = decodeURI(location.hash.slice(1)).split("?");
    if (!link || id !== root.id || !state) return;
    set(Object.fromEntries([...new URLSearchParams(state)].map(([name, text]) => [name, controls[name]?.parse(text)])));
    root.scrollIntoView();
  }

  // Runs: at most one at a time and one for each frame; the latest values win.

  function request() {
    wanted = true;
    app.ariaBusy = "true";
    if (engine && !busy && !frame) frame = requestAnimationFrame(run);
  }

  async function run() {
    [frame, wanted, busy] = [0, false, true];
    const mine = engine, begun = performance.now();
    const progress = setInterval(() => {
      status.textContent = `computing, ${Math.round((performance.now() - begun) / 1000)} s`;
    }, 1000);
    try {
      const found = await mine.run(mine.raw ? { ...values } : inputs());
      if (mine === engine) {
        outputs = found;
        if (performance.now() - begun > 1000) status.textContent = "";
        measure();
        paint();
      }
    } catch (error) {
      status.textContent = `The simulation failed: ${error.message}`;
    }
    clearInterval(progress);
    busy = false;
    if (wanted) request();
    else app.ariaBusy = "false";
  }

  function inputs() {
    return Object.fromEntries(Object.entries(controls).map(([name, { argument }]) =>
      [name, argument ? argument(values[name]) : values[name]]).filter(([name]) => !controls[name].kernelOnly));
  }

  // Pictures

  function measure() {
    const moving = panels.flatMap((panel) => panel.marks).filter((mark) => isOverTime(mark, outputs));
    last = Math.max(0, ...moving.map((mark) => outputs[mark.x].shape[0] - 1));
    transport.hidden = last === 0;
    scrubber.max = last;
    scrubber.step = Math.max(1, Math.round(last / 200));
  }

  function paint() {
    const style = getComputedStyle(root);
    const colours = Object.fromEntries(Object.entries(COLOURS).map(([name, fallback]) =>
      [name, style.getPropertyValue(`--gansde-${name}`).trim() || fallback]));
    const look = { colours, font: style.fontFamily, time, last };
    scales = panels.map((panel, k) => drawPanel(canvases[k], panel, outputs, look));
    handles.forEach((handle, k) => handle?.place());
    scrubber.value = Math.min(time, last);
    shown.value = `${Math.min(Math.floor(time), last)} of ${last}`;
    scrubber.setAttribute("aria-valuetext", shown.value);
    if (!outputs) return;
    readouts.forEach(({ output, digits, names: words }, k) => {
      const value = outputs[output].data[0];
      texts[k].value = words ? words[value] ?? "?" : number(value, digits);
    });
    clearTimeout(quiet);
    quiet = setTimeout(tell, 700);
  }

  /** Say what is to be seen once the picture has come to rest: a reader who listens is not talked over. */
  function tell() {
    heard.textContent = readouts.map(({ label }, k) => `${label}: ${texts[k].value}`).join(", ");
    panels.forEach((panel, k) => canvases[k].setAttribute("aria-label", describe(panel, outputs)));
  }

  // Playing

  function seek(step) {
    time = step >= last ? Infinity : step;
    paint();
  }

  function start() {
    let before = performance.now(), step = time >= last ? 0 : time;
    const advance = (now) => {
      step += (Math.max(0, now - before) / 1000) * Math.max(last / 5, 1) * (slow.checked ? 1 / 8 : 1);
      before = now;
      playing = requestAnimationFrame(advance);
      if (step >= last) pause();
      seek(step);
    };
    playing = requestAnimationFrame(advance);
    play.textContent = "pause";
  }

  function pause() {
    cancelAnimationFrame(playing);
    playing = 0;
    play.textContent = "play";
  }

  // Dragging: a handle for fingers and mice; the keyboard has the control's two numbers.

  function makeHandle({ drag }, k) {
    const handle = make("span", { class: "gansde-handle", "aria-hidden": "true" });
    const follow = (event) => {
      const box = canvases[k].getBoundingClientRect(), { x, y } = scales[k];
      set({ [drag]: controls[drag].inside([x.invert(event.clientX - box.left), y.invert(event.clientY - box.top)]) });
    };
    handle.onpointerdown = (event) => {
      handle.setPointerCapture(event.pointerId);
      event.preventDefault();
    };
    handle.onpointermove = (event) => { if (handle.hasPointerCapture(event.pointerId)) follow(event); };
    canvases[k].onclick = follow;
    frames[k].append(handle);
    return {
      place() {
        handle.style.left = `${scales[k].x(values[drag][0])}px`;
        handle.style.top = `${scales[k].y(values[drag][1])}px`;
      },
    };
  }

  // Beginning and end

  const themes = new MutationObserver(paint), sizes = new ResizeObserver(paint);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const near = new IntersectionObserver(([entry]) => {
    if (!entry.isIntersecting) return;
    near.disconnect();
    choose(names[0]);
  }, { rootMargin: "300px" });
  (root.querySelector("figcaption") ?? root.appendChild(make("span"))).before(app);
  root.dataset.live = "on";
  set({ ...starts, ...given }, false);
  for (const node of [document.documentElement, document.body]) {
    themes.observe(node, { attributeFilter: ["data-theme", "data-jp-theme-light", "data-jp-theme-name"] });
  }
  dark.addEventListener("change", paint);
  sizes.observe(app);
  addEventListener("hashchange", restore);
  restore();
  near.observe(root);
  return {
    set,
    stop() {
      pause();
      for (const observer of [themes, sizes, near]) observer.disconnect();
      dark.removeEventListener("change", paint);
      removeEventListener("hashchange", restore);
      engine?.stop();
    },
  };
}

/** Static pages: bring every figure to life once the page is read. */
function upgradePage() {
  const upgrade = (root) => {
    const { wasm, manifest, ...spec } = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    mount(root, spec, { "this browser": () => browserEngine(decode(wasm), manifest) }, { link: true });
  };
  const all = () => document.querySelectorAll("figure.gansde-live:not([data-live])").forEach(upgrade);
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", all) : all();
}

/** Jupyter: anywidget calls this for each view of the widget; what it returns is called when the view goes. */
function render({ model, el }) {
  const spec = model.get("spec"), wasm = model.get("wasm");
  const root = make("figure", { class: "gansde-figure gansde-live" }, make("figcaption", {}, spec.caption));
  el.append(root);
  const bytes = new Uint8Array(wasm.buffer, wasm.byteOffset, wasm.byteLength);
  const engines = Object.fromEntries(model.get("engines").map((name) =>
    [name, () => (name === "this browser" ? browserEngine(bytes, spec.manifest) : kernelEngine(model, name))]));
  const changed = (values) => {
    model.set("values", values);
    model.save_changes();
  };
  const figure = mount(root, spec, engines, { values: model.get("values"), changed });
  const follow = () => figure.set(model.get("values"), false);
  model.on("change:values", follow);
  return () => {
    model.off("change:values", follow);
    figure.stop();
  };
}
