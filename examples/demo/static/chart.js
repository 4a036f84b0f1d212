// A line chart by hand: an SVG of lines over the last minute, drawn anew for each point.

const NAMESPACE = "http://www.w3.org/2000/svg";
const LEFT = 44;
const BOTTOM = 24;
const TOP = 10;
const STEPS = [2, 4, 10]; // whose halves are whole

function svg(tag, attributes, text) {
  const made = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// The next of 2, 4, 10, 20, 40, 100... so that the scale does not jump about.
function roundUp(value) {
  for (let power = 1; ; power *= 10) {
    for (const step of STEPS) if (step * power >= value) return step * power;
  }
}

export class Chart {
  // `series` are the names of the lines, which are the classes that style them.
  constructor(root, series, seconds) {
    this.root = root;
    this.series = series;
    this.seconds = seconds;
    this.points = [];
    new ResizeObserver(() => this.draw()).observe(root);
  }

  // A point has `at` in seconds, and a value for each series.
  add(point) {
    this.points.push(point);
    this.points = this.points.filter(({ at }) => at >= point.at - this.seconds - 1);
    this.draw();
  }

  highest(name) {
    return Math.max(0, ...this.points.map((point) => point[name]));
  }

  draw() {
    const { width, height } = this.root.getBoundingClientRect();
    const title = this.root.querySelector("title");
    this.root.replaceChildren(title);
    if (!width) return;
    this.root.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const top = roundUp(Math.max(4, ...this.series.map((name) => this.highest(name))));
    const now = this.points.at(-1)?.at ?? 0;
    const x = (at) => width - 2 - ((now - at) / this.seconds) * (width - LEFT - 2);
    const y = (value) => height - BOTTOM - (value / top) * (height - BOTTOM - TOP);
    for (const value of [0, top / 2, top]) {
      this.root.append(
        svg("line", { class: "grid", x1: LEFT, x2: width, y1: y(value), y2: y(value) }),
        svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, value),
      );
    }
    const times = [[this.seconds, "start", `${this.seconds} s ago`], [this.seconds / 2, "middle", `${this.seconds / 2} s`], [0, "end", "now"]];
    for (const [ago, anchor, words] of times) {
      this.root.append(svg("text", { x: x(now - ago), y: height - 6, "text-anchor": anchor }, words));
    }
    const shown = this.points.filter(({ at }) => at >= now - this.seconds);
    for (const name of this.series) {
      const points = shown.map((point) => `${x(point.at).toFixed(1)},${y(point[name]).toFixed(1)}`);
      this.root.append(svg("polyline", { class: name, points: points.join(" ") }));
    }
  }
}
