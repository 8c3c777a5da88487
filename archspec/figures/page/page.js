"use strict";
// Plans (which card stands in which row and column, which way each link takes) were laid out when
// the page was written. Here sizes of what is open are added up, nothing else.
(() => {
const SVG = "http://www.w3.org/2000/svg";
const ROW = 20, PAD = 12, HEAD = 26, GAP = 20, TRACK = 9, LANE = 9, BETWEEN = 18, GUTTER = 30;
const MOST = 800; // cards that are painted at a time
const $ = (id) => document.getElementById(id);
const svg = $("view");
const data = JSON.parse($("data").textContent);
const { nodes, groups: told, plans, words } = data;

// ---- what there is ------------------------------------------------------------------------
const groups = told.map(([plan, parent, start, stop, key, name, label, line, shape], index) =>
  ({ index, plan: plans[plan], parent, start, stop, key, name, label, line, shape, inside: [] }));
for (const group of groups) if (group.parent >= 0) groups[group.parent].inside.push(group);
const byKey = new Map(groups.map((group) => [group.key, group]));
const root = groups[0];
const holder = new Int32Array(nodes.path.length); // the innermost group of each node
for (const group of groups) holder.fill(group.index, group.start, group.stop); // parents come first
const depthOf = (group) => { let depth = 0; while (group.parent >= 0) { group = groups[group.parent]; depth++; } return depth; };
for (const group of groups) group.depth = depthOf(group);

const open = new Set(); // keys of groups that are open
let held = null; // "n12" or "g3": what was clicked; its facts stay
let at = ""; // what the pointer or the keyboard is on
const view = { x: 0, y: 0, k: 1 };
let room = null; // the measured network
let spots = new Map(); // id -> [x, y, width, height, group it stands in] of all that is open

// ---- sizes --------------------------------------------------------------------------------
function measure(group) {
  const { plan } = group;
  const items = plan.items.map((item, i) => {
    const [w, h] = plan.sizes[i];
    if (typeof item === "number" && item >= 0 && open.has(group.inside[item].key)) {
      const inner = measure(group.inside[item]);
      return { w: inner.w, h: inner.h, left: inner.axis, entries: inner.entries, exits: inner.exits, inner };
    }
    return { w, h, left: w / 2, entries: null, exits: null, inner: null };
  });
  const strips = plan.strips.map((first, s) => strip(group, items, first, plan.strips[s + 1] ?? plan.rows));
  const top = group.parent < 0 ? 0 : HEAD;
  let x = PAD, bottom = 0;
  for (const piece of strips) {
    for (let c = 0; c < plan.columns; c++) piece.axes[c] += x;
    for (const i of piece.items) {
      items[i].x = piece.axes[plan.cells[i][1]] - items[i].left;
      items[i].y = top + piece.tops[plan.cells[i][0]];
    }
    piece.left = x;
    x += piece.width;
    piece.gutter = x + GUTTER / 2;
    x += GUTTER;
    bottom = Math.max(bottom, piece.height);
  }
  const floor = top + bottom; // exits stand on the ground whatever the length of their strip
  let w = x - GUTTER + PAD;
  if (group.parent >= 0) {
    const need = 44 + heading(group);
    if (w < need) { for (const item of items) item.x += (need - w) / 2; for (const piece of strips) { piece.left += (need - w) / 2; piece.gutter += (need - w) / 2; for (let c = 0; c < plan.columns; c++) piece.axes[c] += (need - w) / 2; } w = need; }
  }
  const entries = [], exits = [];
  plan.items.forEach((item, i) => {
    if (item === -1) { entries.push(items[i].x); if (items[i].x > 18 + heading(group)) items[i].y = 0; }
    if (item === -2) { exits.push(items[i].x); items[i].y = floor; }
  });
  const axis = entries.length ? entries[0] : w / 2;
  return { group, items, strips, top, w, h: floor, axis, entries, exits };
}

const heading = (group) => (group.name ? long(group.name, 11.5, true) + 6 : 0) + long(group.label, 11.5);

function strip(group, items, first, last) {
  const { plan } = group;
  const left = new Float64Array(plan.columns), right = new Float64Array(plan.columns);
  const heights = new Float64Array(plan.rows);
  const mine = [];
  plan.cells.forEach(([row, column], i) => {
    if (row < first || row >= last) return;
    mine.push(i);
    const item = items[i];
    left[column] = Math.max(left[column], item.left);
    right[column] = Math.max(right[column], item.w - item.left);
    heights[row] = Math.max(heights[row], item.h);
  });
  for (const [source, , , , lane] of plan.links) {
    const row = plan.cells[source][0];
    if (lane >= 0 && row >= first && row < last) {
      left[lane] = Math.max(left[lane], LANE);
      right[lane] = Math.max(right[lane], LANE);
    }
  }
  const axes = new Float64Array(plan.columns);
  let x = 0, used = false;
  for (let c = 0; c < plan.columns; c++) {
    if (left[c] + right[c] === 0) { axes[c] = x; continue; }
    if (used) x += left[c] > LANE ? BETWEEN : 2;
    axes[c] = x + left[c];
    x += left[c] + right[c];
    used = true;
  }
  const tops = new Float64Array(plan.rows), gaps = new Float64Array(plan.rows);
  let y = 0;
  for (let row = first; row < last; row++) {
    gaps[row] = plan.tracks[row] ? GAP + TRACK * plan.tracks[row] : GAP;
    if (row === first) gaps[row] = first || plan.items[mine[0]] !== -1 ? (strips(plan) ? GUTTER / 2 + 6 : PAD) : 0;
    y += gaps[row];
    tops[row] = y;
    y += heights[row];
  }
  const exit = mine.some((i) => plan.items[i] === -2);
  const tail = strips(plan) && last < plan.rows ? GUTTER / 2 + 6 : exit ? 0 : PAD;
  return { items: mine, axes, tops, gaps, width: x, height: y + tail, first, last };
}
const strips = (plan) => plan.strips.length > 1;

// The corners of a link, in its group's coordinates.
function corners(m, [source, target, leaving, entering, lane, fork, join, side]) {
  const { plan } = m.group, a = m.items[source], b = m.items[target];
  const sx = a.x + (a.exits ? a.exits[leaving] : a.left), sy = a.y + a.h;
  const tx = b.x + (b.entries ? b.entries[entering] : b.left), ty = b.y;
  const from = m.strips.find((s) => plan.cells[source][0] < s.last);
  const to = m.strips.find((s) => plan.cells[target][0] < s.last);
  if (from !== to) {
    const low = Math.max(m.top + from.height - 8, sy + 8), high = m.top + 8;
    return [sx, sy, sx, low, from.gutter, low, from.gutter, high, tx, high, tx, ty];
  }
  const track = (row, n) => m.top + from.tops[row] - from.gaps[row] + 8 + TRACK * n;
  const row = plan.cells[target][0], below = plan.cells[source][0] + 1;
  if (lane < 0) {
    if (join >= 0) { const y = track(row, join); return [sx, sy, sx, y, tx, y, tx, ty]; }
    if (Math.abs(sx - tx) < 0.5) return [sx, sy, tx, ty];
    const y = (m.top + from.tops[row] - from.gaps[row] + ty) / 2;
    return [sx, sy, sx, y, tx, y, tx, ty];
  }
  const lx = from.axes[lane], points = [sx, sy];
  if (fork >= 0 || Math.abs(sx - lx) > 0.5) { const y = track(below, Math.max(fork, 0)); points.push(sx, y, lx, y); }
  if (side) { const y = ty + ROW / 2; points.push(lx, y, side < 0 ? b.x : b.x + b.w, y); return points; }
  if (join >= 0 || Math.abs(lx - tx) > 0.5) { const y = track(row, Math.max(join, 0)); points.push(lx, y, tx, y); }
  points.push(tx, ty);
  return points;
}

function bend(points, x, y) { // through corners, rounded
  let d = `M${fix(points[0] + x)} ${fix(points[1] + y)}`;
  for (let i = 2; i < points.length - 2; i += 2) {
    const px = points[i - 2], py = points[i - 1], cx = points[i], cy = points[i + 1], nx = points[i + 2], ny = points[i + 3];
    const before = Math.hypot(cx - px, cy - py), after = Math.hypot(nx - cx, ny - cy);
    const r = Math.min(6, before / 2, after / 2);
    if (r < 0.5) { d += `L${fix(cx + x)} ${fix(cy + y)}`; continue; }
    d += `L${fix(cx + x - (cx - px) * r / before)} ${fix(cy + y - (cy - py) * r / before)}`
      + `Q${fix(cx + x)} ${fix(cy + y)} ${fix(cx + x + (nx - cx) * r / after)} ${fix(cy + y + (ny - cy) * r / after)}`;
  }
  return d + `L${fix(points.at(-2) + x)} ${fix(points.at(-1) + y)}`;
}
const fix = (v) => Math.round(v * 10) / 10;

// ---- painting -----------------------------------------------------------------------------
function make(name, attributes, parent, text) {
  const element = document.createElementNS(SVG, name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  if (text !== undefined) element.textContent = text;
  if (parent) parent.appendChild(element);
  return element;
}

let painted = null; // the part of the world that the elements cover, and the zoom they are for

function place() { // where everything that is open stands
  room = measure(root);
  spots = new Map();
  (function walk(m, x, y) {
    m.x = x; m.y = y;
    m.group.plan.items.forEach((item, i) => {
      const it = m.items[i], px = x + it.x, py = y + it.y;
      if (typeof item !== "number") {
        for (let n = item[0]; n <= item[1]; n++) spots.set("n" + (m.group.start + n), [px, py + ROW * (n - item[0]), it.w, ROW, m.group]);
      } else if (item >= 0) {
        spots.set("g" + m.group.inside[item].index, [px, py, it.w, it.h, m.group]);
        if (it.inner) walk(it.inner, px, py);
      }
    });
  })(room, 0, 0);
  painted = null;
}

function paint() {
  const { width, height } = size();
  $("world").setAttribute("transform", `translate(${fix(view.x)} ${fix(view.y)}) scale(${Math.round(view.k * 1e4) / 1e4})`);
  const seen = [-view.x / view.k, -view.y / view.k, (width - view.x) / view.k, (height - view.y) / view.k];
  const level = view.k < 0.28 ? 0 : 1;
  if (painted && painted.level === level && painted.k / view.k < 2 && view.k / painted.k < 2
      && seen[0] >= painted.area[0] && seen[1] >= painted.area[1] && seen[2] <= painted.area[2] && seen[3] <= painted.area[3]) return;
  const mx = (seen[2] - seen[0]) / 6, my = (seen[3] - seen[1]) / 6;
  const area = [seen[0] - mx, seen[1] - my, seen[2] + mx, seen[3] + my];
  painted = { area, level, k: view.k };
  svg.classList.toggle("far", !level);
  const boxes = document.createDocumentFragment(), links = document.createDocumentFragment(), cards = document.createDocumentFragment();
  const hidden = (x, y, w, h) => x > area[2] || y > area[3] || x + w < area[0] || y + h < area[1];
  // What is too small to tell anything apart in it is painted as if closed, and what is less small
  // as well where there is a great deal of it.
  let least = 16;
  const told = (it) => it.inner && Math.min(it.w, it.h) * view.k >= least;
  const count = (m, left) => {
    const { plan } = m.group;
    for (let i = 0; i < plan.items.length && left > 0; i++) {
      const it = m.items[i], item = plan.items[i];
      if (hidden(m.x + it.x, m.y + it.y, it.w, it.h)) continue;
      left = told(it) ? count(it.inner, left) : left - (typeof item === "number" ? 1 : item[1] - item[0] + 1);
    }
    return left;
  };
  while (count(room, MOST) <= 0 && least < 1e4) least *= 1.5;
  (function draw(m) {
    const { group } = m;
    if (group.parent >= 0) box(m, boxes, level);
    for (const link of group.plan.links) {
      const points = corners(m, link);
      let x0 = Infinity, y0 = Infinity, x1 = -Infinity, y1 = -Infinity;
      for (let i = 0; i < points.length; i += 2) {
        x0 = Math.min(x0, points[i]); x1 = Math.max(x1, points[i]);
        y0 = Math.min(y0, points[i + 1]); y1 = Math.max(y1, points[i + 1]);
      }
      if (hidden(m.x + x0, m.y + y0, x1 - x0, y1 - y0)) continue;
      const goal = group.plan.items[link[1]], through = goal === -2 || m.items[link[1]].inner;
      const path = make("path", { d: bend(points, m.x, m.y) }, links);
      if (!through && level) path.setAttribute("marker-end", "url(#arrow)");
      path.dataset.a = name(group, link[0]);
      path.dataset.b = name(group, link[1]);
    }
    group.plan.items.forEach((item, i) => {
      const it = m.items[i], x = m.x + it.x, y = m.y + it.y;
      if (typeof item === "number" && item < 0) return;
      if (hidden(x, y, it.w, it.h)) return;
      if (told(it)) draw(it.inner);
      else if (typeof item === "number") closed(group.inside[item], x, y, it.w, it.h, cards, level);
      else for (let n = item[0]; n <= item[1]; n++) op(group.start + n, x, y + ROW * (n - item[0]), it.w, n === item[0], n === item[1], cards, level);
    });
  })(room);
  $("boxes").replaceChildren(boxes);
  $("links").replaceChildren(links);
  $("cards").replaceChildren(cards);
  mark();
}
// What a link touches at one end, as an id; of a stack its outer nodes are enough to light it up.
function name(group, i) {
  const item = group.plan.items[i];
  if (typeof item !== "number") { let text = ""; for (let n = item[0]; n <= item[1]; n++) text += " n" + (group.start + n); return text + " "; }
  return item >= 0 ? ` g${group.inside[item].index} ` : "";
}

function cut(text, room, size, bold) { // to so many px, by the widths that plans were made with
  let used = 0;
  const widths = data.widths, factor = size / 1000 * (bold ? 1.08 : 1);
  for (let i = 0; i < text.length; i++) {
    used += (widths[text.charCodeAt(i) - 32] ?? 600) * factor;
    if (used > room) return text.slice(0, Math.max(1, i - 1)) + "…";
  }
  return text;
}
const long = (text, size, bold) => { let used = 0; for (let i = 0; i < text.length; i++) used += (data.widths[text.charCodeAt(i) - 32] ?? 600) * size / 1000 * (bold ? 1.08 : 1); return used; };

// A card's group; from afar it is not read out either.
function card(id, family, x, y, parent, level, more) {
  const attributes = { class: "card f-" + data.families[family] + more, "data-id": id, transform: `translate(${fix(x)} ${fix(y)})` };
  if (level) Object.assign(attributes, { tabindex: -1, role: "button", "aria-label": speak(id) });
  return make("g", attributes, parent);
}

function op(n, x, y, w, first, last, parent, level) {
  const g = card("n" + n, nodes.family[n], x, y, parent, level, "");
  const r = 5, top = first ? r : 0, low = last ? r : 0;
  if (!level) { make("rect", { class: "body", width: w, height: ROW }, g); return; }
  make("path", { class: "body", d: `M0 ${top}${top ? `a${r} ${r} 0 0 1 ${r} ${-r}` : ""}H${w - top}${top ? `a${r} ${r} 0 0 1 ${r} ${r}` : ""}V${ROW - low}${low ? `a${r} ${r} 0 0 1 ${-r} ${r}` : ""}H${low}${low ? `a${r} ${r} 0 0 1 ${-r} ${-r}` : ""}Z` }, g);
  const shape = words[nodes.shape[n]], label = words[nodes.label[n]];
  const room = w - 18 - (shape ? long(shape, 10.5) + 10 : 0);
  make("text", { x: 9, y: 14 }, g, cut(label, room, 11.5));
  if (shape) make("text", { x: w - 9, y: 14, "text-anchor": "end", class: "small" }, g, shape);
}

function closed(group, x, y, w, h, parent, level) {
  const g = card("g" + group.index, group.family ??= leading(group), x, y, parent, level, " block");
  if (!level) { make("rect", { class: "body", width: fix(w), height: fix(h) }, g); return; }
  g.setAttribute("aria-expanded", open.has(group.key));
  make("rect", { class: "under", x: 3, y: 3, width: fix(w), height: fix(h), rx: 6 }, g);
  make("rect", { class: "body", width: fix(w), height: fix(h), rx: 6 }, g);
  title(group, g, 10, 17, w - 34);
  make("text", { x: 10, y: 32, class: "small" }, g, words[group.shape]);
  if (!open.has(group.key)) make("path", { class: "sign", d: `M${fix(w) - 19} 13h9m-4.5 -4.5v9` }, g);
}

function title(group, g, x, y, room) {
  const text = make("text", { x, y }, g);
  const shown = group.name ? cut(group.name, room, 11.5, true) : "";
  if (shown) { const bold = document.createElementNS(SVG, "tspan"); bold.setAttribute("class", "name"); bold.setAttribute("font-weight", "700"); bold.textContent = shown; text.appendChild(bold); }
  const left = room - (shown ? long(shown, 11.5, true) + 6 : 0);
  if (group.label && left > 24) { const plain = document.createElementNS(SVG, "tspan"); if (shown) plain.setAttribute("dx", 6); plain.textContent = cut(group.label, left, 11.5); text.appendChild(plain); }
}

function box(m, parent, level) {
  const { group } = m, id = "g" + group.index;
  const g = make("g", { class: "box", "data-box": id, transform: `translate(${fix(m.x)} ${fix(m.y)})` }, parent);
  make("rect", { class: group.depth % 2 ? "" : "deep", width: fix(m.w), height: fix(m.h), rx: 8 }, g);
  const head = make("g", { class: "head", "data-id": id }, g);
  make("rect", { width: fix(m.w), height: HEAD, rx: 8 }, head);
  if (!level) return;
  for (const [name, value] of [["tabindex", -1], ["role", "button"], ["aria-expanded", true], ["aria-label", speak(id)]]) head.setAttribute(name, value);
  title(group, head, 10, 17, m.w - 34);
  make("path", { class: "sign", d: `M${fix(m.w) - 19} 13h9` }, head);
}

function leading(group) { // as words.leading: the first of those known that it has, or else what is most of it
  const ops = data.families.map(() => 0);
  for (let n = group.start; n < group.stop; n++) ops[nodes.family[n]]++;
  const known = data.leading.map((family) => data.families.indexOf(family)).find((family) => ops[family]);
  return known ?? ops.indexOf(Math.max(...ops));
}

// ---- facts --------------------------------------------------------------------------------
const count = (n) => { for (const [unit, by] of [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]]) if (n >= by) return `${+(n / by).toPrecision(4)} ${unit}`; return `${n} `; };
const bytes = (n) => { for (const [unit, by] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) if (n >= by) return `${+(n / by).toPrecision(3)} ${unit}`; return `${n} B`; };
const share = (n, all) => (all && n ? ` ${+(100 * n / all).toPrecision(2)} %` : "");
const sum = (column, from, to) => { let total = 0; for (let n = from; n < to; n++) total += column[n]; return total; };
const range = (id) => (id[0] === "n" ? [+id.slice(1), +id.slice(1) + 1] : [groups[+id.slice(1)].start, groups[+id.slice(1)].stop]);

function speak(id) {
  if (id[0] === "n") { const n = +id.slice(1); return `${nodes.path[n]}, ${words[nodes.label[n]]}, output ${words[nodes.out[n]]}`; }
  const group = groups[+id.slice(1)];
  return `${group.key} ${group.label}, block of ${group.stop - group.start} layers, output ${words[nodes.out[group.stop - 1]]}`;
}

function show(id) {
  const panel = $("facts"), [from, to] = id ? range(id) : [0, nodes.path.length];
  const n = to - 1, single = id && id[0] === "n", group = id && !single ? groups[+id.slice(1)] : null;
  const fragment = document.createDocumentFragment();
  const html = (tag, text, cls, parent = fragment) => { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; if (cls) e.className = cls; parent.appendChild(e); return e; };
  html("h2", single ? nodes.path[n] : group ? group.key : data.name);
  html("p", single ? words[nodes.args[n]] : group ? `${group.label || "group"} · ${to - from} layers` : data.title, "what");
  const list = html("dl");
  const row = (label, value, extra) => { html("dt", label, "", list); const dd = html("dd", value, "", list); if (extra) html("small", extra, "", dd); };
  const params = sum(nodes.params, from, to), macs = id ? sum(nodes.macs, from, to) : data.macs;
  if (id) row("output", words[nodes.out[n]]);
  row("parameters", params.toLocaleString("en"), id ? share(params, data.params) : "");
  row("MACs", macs ? count(macs).trim() : "0", id ? share(macs, data.macs) : "");
  if (single) row("memory of output", bytes(nodes.bytes[n]));
  row("saved for backward", bytes(sum(nodes.saved, from, to)));
  if (single && words[nodes.marks[n]]) row("", words[nodes.marks[n]]);
  if (id && words[nodes.field[n]]) row("receptive field", words[nodes.field[n]]);
  if (id) thumbnail(fragment, n);
  const line = single ? nodes.line[n] : group ? group.line : -1;
  if (line >= 0) { const [where, text] = data.lines[line]; html("h3", where); html("pre", text); }
  panel.replaceChildren(fragment);
}

function thumbnail(parent, n) {
  const seen = nodes.box[n];
  if (seen < 0) return;
  const [input, y0, y1, x0, x1, whole] = data.boxes[seen], [, height, width] = data.inputs[input];
  const title = document.createElement("h3");
  title.textContent = `what one ${height > 1 ? "cell of it" : "step"} sees of ${data.inputs[input][0]}, ${height > 1 ? `${height} × ${width}` : width}`;
  parent.appendChild(title);
  const low = [Math.min(0, x0), Math.min(0, y0)], high = [Math.max(width, x1 + 1), Math.max(height, y1 + 1)];
  // a field wider than twice the input is cut: how far it sticks out is told in numbers
  const cutTo = (v, size) => Math.max(-size / 2, Math.min(size * 1.5, v));
  const [l, t, r, b] = [cutTo(low[0], width), cutTo(low[1], height), cutTo(high[0], width), cutTo(high[1], height)];
  const tall = height > 1 ? b - t : (r - l) / 8, scale = Math.min(280 / (r - l), 180 / tall);
  const dx = 144 - (r - l) * scale / 2;
  const picture = make("svg", { viewBox: "0 0 288 190", role: "img", "aria-label": title.textContent }, parent);
  const at = (x, y, w, h, cls) => {
    const X0 = Math.max(x, l), Y0 = Math.max(y, t), X1 = Math.min(x + w, r), Y1 = Math.min(y + h, b);
    make("rect", { x: fix(dx + (X0 - l) * scale), y: fix(4 + (height > 1 ? Y0 - t : 0) * scale), width: fix(Math.max((X1 - X0) * scale, 1)), height: fix(Math.max((height > 1 ? Y1 - Y0 : tall) * scale, 1)), class: cls }, picture);
  };
  at(0, 0, width, height, "input");
  if (whole) at(0, 0, width, height, "all");
  if (x1 >= x0) { at(x0, y0, x1 - x0 + 1, y1 - y0 + 1, "seen"); }
}

// ---- what is marked -----------------------------------------------------------------------
function mark() {
  for (const old of document.querySelectorAll("#view .held")) old.remove();
  for (const id of new Set([held, at])) {
    if (!id) continue;
    const element = find(id);
    if (!element) continue;
    const spot = spots.get(id), boxed = element.classList.contains("head");
    if (id === held || id === at && keyed) make("rect", { class: "held", x: 0, y: 0, width: fix(spot[2]), height: fix(spot[3]), rx: id[0] === "g" ? 7 : 4 }, boxed ? element.parentNode : element);
  }
  const id = at || held, ids = id ? ` ${id} ` : null;
  for (const path of $("links").children) path.classList.toggle("lit", !!ids && (path.dataset.a.includes(ids) || path.dataset.b.includes(ids)));
}
const find = (id) => document.querySelector(`#view [data-id="${id}"]`);
let keyed = false; // whether `at` was reached by keyboard

function hover(id) {
  if (id === at) return;
  at = id; keyed = false;
  show(at || held);
  mark();
}

// ---- the state in the address -------------------------------------------------------------
// `#` alone: as the page was written; `#open=…` names what is open, `on=…` what is held.
function write(push = true) {
  const keys = groups.filter((g) => open.has(g.key)).map((g) => encodeURIComponent(g.key));
  const all = keys.length === groups.length - 1 && keys.length;
  let hash = `#open=${all ? "*" : keys.join(",")}`;
  if (held) hash += `&on=${encodeURIComponent(held[0] === "n" ? nodes.path[+held.slice(1)] : groups[+held.slice(1)].key)}`;
  if (hash === location.hash) return;
  if (push) history.pushState(null, "", hash); else history.replaceState(null, "", hash);
}

function read() {
  const state = new Map(location.hash.slice(1).split("&").map((part) => part.split("=")));
  open.clear();
  const text = state.get("open");
  const decode = (word) => { try { return decodeURIComponent(word); } catch { return ""; } };
  if (text === "*") for (const group of groups.slice(1)) open.add(group.key);
  else for (const key of text === undefined ? data.open : text.split(",").map(decode)) if (byKey.has(key) && key) open.add(key);
  const on = decode(state.get("on") ?? ""), n = on ? nodes.path.indexOf(on) : -1;
  held = n >= 0 ? "n" + n : on && byKey.has(on) ? "g" + byKey.get(on).index : null;
  if (n < 0 && !held) at = "";
}

// ---- moving about -------------------------------------------------------------------------
const size = () => { const { width, height } = svg.getBoundingClientRect(); return { width: width || 1200, height: height || 800 }; };

function fit(least = 0.02) { // all of it; or from the input on, no smaller than `least`
  const { width, height } = size();
  view.k = Math.max(least, Math.min(1.25, (width - 48) / room.w, (height - 90) / room.h));
  const wide = room.w * view.k;
  view.x = wide <= width ? (width - wide) / 2 : Math.min(16, Math.max(width - wide - 16, width / 2 - room.axis * view.k));
  view.y = Math.max(20, (height - 44 - room.h * view.k) / 2);
  paint();
}
const fingers = matchMedia("(pointer: coarse)");
const begin = () => fit(fingers.matches ? 1.2 : 0.7); // rows of 24 px under a finger, words of 8 px before the eye

function zoom(factor, cx, cy) {
  const k = Math.min(4, Math.max(0.02, view.k * factor));
  view.x = cx - (cx - view.x) * k / view.k;
  view.y = cy - (cy - view.y) * k / view.k;
  view.k = k;
  paint();
}

function reveal(id, centre) { // move no further than needed, or to the middle
  const spot = spots.get(id);
  if (!spot) return;
  const { width, height } = size(), edge = 16, foot = 60;
  if (centre && view.k < 0.6) { view.k = 1; painted = null; }
  const [x, y, w, h] = [spot[0] * view.k + view.x, spot[1] * view.k + view.y, spot[2] * view.k, spot[3] * view.k];
  if (centre) {
    view.x += (width - w) / 2 - x;
    view.y += Math.max(edge, (height - h) / 2) - y;
    return;
  }
  view.x += x < edge ? edge - x : Math.min(0, Math.max(width - edge - (x + w), edge - x));
  view.y += y < edge ? edge - y : Math.min(0, Math.max(height - foot - (y + h), edge - y));
}

function toggle(group, push = true) {
  const id = "g" + group.index, before = spots.get(id);
  if (open.has(group.key)) for (const inner of groups) { if (inner.index === group.index || isIn(inner, group)) open.delete(inner.key); }
  else open.add(group.key);
  place();
  const after = spots.get(id);
  if (before && after) { // its heading stays where it was clicked
    view.x += (before[0] + before[2] / 2 - after[0] - after[2] / 2) * view.k;
    view.y += (before[1] - after[1]) * view.k;
  }
  reveal(id, false);
  paint();
  write(push);
}
const isIn = (inner, outer) => inner.start >= outer.start && inner.stop <= outer.stop && inner.depth > outer.depth;

function hold(id) {
  held = held === id ? null : id;
  show(held || at);
  mark();
  write(false);
}

function go(id) { // open what is around it, and bring it into view
  const around = id[0] === "n" ? groups[holder[+id.slice(1)]] : groups[groups[+id.slice(1)].parent];
  for (let group = around; group.parent >= 0; group = groups[group.parent]) open.add(group.key);
  held = id; at = "";
  place();
  reveal(id, true);
  paint();
  show(id);
  write();
}

function every(opened) {
  open.clear();
  if (opened) for (const group of groups.slice(1)) open.add(group.key);
  place(); begin(); write();
}

// ---- search -------------------------------------------------------------------------------
const results = $("found"), field = $("search");
let hits = [], choice = 0;

function search() {
  const wanted = field.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  hits = [];
  if (wanted.length) {
    for (const group of groups) if (group.parent >= 0 && matches(wanted, group.key + " " + group.label)) hits.push(["g" + group.index, group.key, group.label]);
    for (let n = 0; n < nodes.path.length && hits.length < 500; n++) {
      const what = words[nodes.label[n]];
      if (matches(wanted, nodes.path[n] + " " + what + " " + words[nodes.out[n]])) hits.push(["n" + n, nodes.path[n], what]);
    }
    const exact = wanted.join(" ");
    hits.sort((a, b) => (b[1].toLowerCase() === exact) - (a[1].toLowerCase() === exact));
  }
  choice = 0;
  list();
}
const matches = (wanted, text) => { const low = text.toLowerCase(); return wanted.every((word) => low.includes(word)); };

function list() {
  const fragment = document.createDocumentFragment();
  hits.slice(0, 60).forEach(([id, path, what], i) => {
    const li = document.createElement("li"), b = document.createElement("b"), span = document.createElement("span");
    li.id = "hit" + i; li.dataset.go = id; li.setAttribute("role", "option"); li.setAttribute("aria-selected", i === choice);
    b.textContent = path; span.textContent = what;
    li.append(b, span); fragment.appendChild(li);
  });
  if (field.value.trim() && !hits.length) { const li = document.createElement("li"); li.className = "none"; li.textContent = "nothing found"; fragment.appendChild(li); }
  if (hits.length > 60) { const li = document.createElement("li"); li.className = "none"; li.textContent = `and ${hits.length - 60}${hits.length >= 500 ? "+" : ""} more`; fragment.appendChild(li); }
  results.replaceChildren(fragment);
  results.hidden = !field.value.trim();
  field.setAttribute("aria-expanded", String(!results.hidden));
  if (hits.length) field.setAttribute("aria-activedescendant", "hit" + choice); else field.removeAttribute("aria-activedescendant");
}
function pick(id) { results.hidden = true; field.setAttribute("aria-expanded", "false"); field.blur(); svg.focus({ preventScroll: true }); go(id); }

field.addEventListener("input", search);
field.addEventListener("focus", () => { if (field.value.trim()) search(); });
field.addEventListener("blur", () => setTimeout(() => { results.hidden = true; }, 150));
results.addEventListener("pointerdown", (event) => { const li = event.target.closest("li[data-go]"); if (li) { event.preventDefault(); pick(li.dataset.go); } });
field.addEventListener("keydown", (event) => {
  const most = Math.min(hits.length, 60);
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (most) { choice = (choice + (event.key === "ArrowDown" ? 1 : most - 1)) % most; list(); document.getElementById("hit" + choice).scrollIntoView({ block: "nearest" }); }
  } else if (event.key === "Enter" && most) { event.preventDefault(); pick(hits[choice][0]); }
  else if (event.key === "Escape") { field.value = ""; list(); field.blur(); svg.focus({ preventScroll: true }); }
  event.stopPropagation();
});

// ---- pointer ------------------------------------------------------------------------------
const pointers = new Map();
let moved = 0, pinch = 0;
svg.addEventListener("pointerdown", (event) => {
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  moved = 0; pinch = spread();
});
svg.addEventListener("pointermove", (event) => {
  const last = pointers.get(event.pointerId);
  if (!last) { const target = event.target.closest("[data-id]"); hover(target ? target.dataset.id : ""); return; }
  const dx = event.clientX - last[0], dy = event.clientY - last[1];
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  if (pointers.size === 2) {
    const now = spread(), box = svg.getBoundingClientRect(), [a, b] = [...pointers.values()];
    if (pinch && now) zoom(now / pinch, (a[0] + b[0]) / 2 - box.left, (a[1] + b[1]) / 2 - box.top);
    pinch = now; moved += 9;
    return;
  }
  moved += Math.abs(dx) + Math.abs(dy);
  if (moved < 4) return;
  if (!svg.hasPointerCapture(event.pointerId)) svg.setPointerCapture(event.pointerId);
  svg.classList.add("moving");
  view.x += dx; view.y += dy;
  later();
});
const spread = () => { const [a, b] = [...pointers.values()]; return a && b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 0; };
const release = (event) => { pointers.delete(event.pointerId); svg.classList.remove("moving"); };
svg.addEventListener("pointerup", release);
svg.addEventListener("pointercancel", release);
svg.addEventListener("pointerleave", () => hover(""));
svg.addEventListener("click", (event) => {
  if (moved >= 4) return;
  const target = event.target.closest("[data-id]");
  if (!target) { if (held) hold(held); return; }
  act(target.dataset.id);
});
function act(id) { if (id[0] === "g") { toggle(groups[+id.slice(1)]); if (keyed) focus(id); } else hold(id); }
svg.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = svg.getBoundingClientRect(), by = event.deltaMode === 1 ? 16 : 1;
  if (event.ctrlKey || event.metaKey || !event.shiftKey && !event.deltaX && Math.abs(event.deltaY) * by >= 50)
    zoom(Math.exp(-event.deltaY * by * (event.ctrlKey ? 0.01 : 0.0015)), event.clientX - box.left, event.clientY - box.top);
  else { view.x -= (event.shiftKey ? event.deltaY : event.deltaX) * by; view.y -= (event.shiftKey ? 0 : event.deltaY) * by; later(); }
}, { passive: false });
let waiting = false;
function later() { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; paint(); }); } }

// ---- keyboard -----------------------------------------------------------------------------
function focus(id) {
  at = id; keyed = true;
  reveal(id, view.k < 0.28); // from afar there are no words to read
  painted = null; paint();
  show(id);
  const element = find(id);
  if (element) element.focus({ preventScroll: true });
}
const here = () => [at, held].find((id) => id && spots.has(id)) ?? null;
function step(key) { // to the nearest one in that direction, straight ahead rather than aside
  const id = here();
  if (!id) { focus(spots.keys().next().value); return; }
  const [x, y, w] = spots.get(id), sign = key === "ArrowDown" || key === "ArrowRight" ? 1 : -1;
  const upright = key === "ArrowDown" || key === "ArrowUp";
  let best = null, least = Infinity;
  for (const [other, spot] of spots) {
    const across = spot[0] + spot[2] / 2 - x - w / 2, down = spot[1] - y;
    const ahead = sign * (upright ? down : across), aside = Math.abs(upright ? across : down);
    if (ahead > 4 && ahead + 2 * aside < least) { least = ahead + 2 * aside; best = other; }
  }
  if (best) focus(best);
}
const keys = {
  "/": () => field.focus(), f: () => fit(), e: () => every(true), c: () => every(false), d: dark, "?": () => $("keys").showModal(),
  "+": () => zoom(1.25, size().width / 2, size().height / 2), "=": () => zoom(1.25, size().width / 2, size().height / 2),
  "-": () => zoom(0.8, size().width / 2, size().height / 2), 0: () => zoom(1 / view.k, size().width / 2, size().height / 2),
  Enter: press, " ": press, Backspace: shut,
  Escape: () => { if (held) hold(held); else if (!shut()) { at = ""; show(null); mark(); svg.focus({ preventScroll: true }); } },
};
function press() { // opens or closes a block, holds a layer's facts
  const id = here();
  if (id) { keyed = true; act(id); } else step("ArrowDown");
}
function shut() { // the block that this is, or that it is in
  const id = here();
  if (!id) return false;
  const mine = id[0] === "g" ? groups[+id.slice(1)] : null;
  const group = mine && open.has(mine.key) ? mine : spots.get(id)[4];
  if (group.parent < 0) return false;
  held = null; toggle(group); focus("g" + group.index);
  return true;
}
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open || event.target.tagName === "BUTTON" && (event.key === "Enter" || event.key === " ")) return;
  if (event.key.startsWith("Arrow")) { event.preventDefault(); step(event.key); return; }
  const act = Object.hasOwn(keys, event.key) ? keys[event.key] : null;
  if (act) { event.preventDefault(); act(); }
});

// ---- light and dark -----------------------------------------------------------------------
const prefers = matchMedia("(prefers-color-scheme: dark)");
let chosen = null;
function shade() { document.documentElement.classList.toggle("dark", chosen ?? prefers.matches); }
function dark() { chosen = !(chosen ?? prefers.matches); shade(); }
prefers.addEventListener("change", shade);

// ---- start --------------------------------------------------------------------------------
$("fit").addEventListener("click", () => fit());
$("open-all").addEventListener("click", () => every(true));
$("close-all").addEventListener("click", () => every(false));
$("theme").addEventListener("click", dark);
$("help").addEventListener("click", () => $("keys").showModal());
for (const family of data.families) {
  const li = document.createElement("li"), i = document.createElement("i");
  i.className = "f-" + family;
  li.append(i, family);
  $("legend").appendChild(li);
}
function restore() { read(); place(); begin(); if (held && spots.has(held)) { reveal(held, false); paint(); } show(held); }
addEventListener("popstate", restore);
addEventListener("hashchange", restore);
addEventListener("resize", () => { painted = null; paint(); });
$("app").hidden = false;
document.documentElement.classList.add("live");
shade();
restore();
})();
