// The run as its chain has it: gas across, a bar for what each segment changed, the depth of the stack, what was written; and one
// snapshot at a time, with its call stack. It is a picture of the claim: what is right of it the verdict says.

import { claim, endWords, keptOutput } from '../chain/claim.js';
import { describe } from '../chain/program.js';
import { read, writtenBy } from '../chain/snap.js';
import { byId, draw, grouped, make, short, show } from './dom.js';

const WIDTH = 1000;
const HEIGHT = 190;
const TOP = 18;
const FLOOR = 165;
/** Points that are drawn at most. */
const POINTS = 250;
const SHOWN_OUTPUT = 20_000;

/** Some of the snapshots, evenly, the last one always. */
const thinned = (all) => {
  const each = Math.ceil(all.length / POINTS);
  return all.filter((_, at) => at % each === each - 1 || at === all.length - 1);
};

/** A line that goes up and down in steps. */
const steps = (points, most) => {
  const y = (value) => FLOOR - (Number(value) / most) * (FLOOR - TOP);
  return points.map(({ x, value }, at) => `${at === 0 ? `M ${x} ${y(value)}` : `H ${x} V ${y(value)}`}`).join(' ');
};

export class Timeline {
  #chain;
  #points = [];
  #names;
  #kept;
  #claim;

  /** @param {import('../chain/open.js').Chain} chain @param {Uint8Array | null} program */
  constructor(chain, program) {
    this.#chain = chain;
    this.#names = program === null ? new Map() : describe(program).names;
    this.#kept = keptOutput(chain);
    this.#claim = claim(chain);
    this.#points = [...chain.links].map(([id, link]) => ({ id, ...link }));
  }

  /** Shows the run; nothing of a chain without snapshots. */
  show() {
    show(byId('timeline'), this.#points.length > 0);
    if (this.#points.length === 0) return;
    const moment = byId('moment');
    moment.max = String(this.#points.length + (this.#claim.isFinal ? 1 : 0));
    moment.value = String(this.#points.length);
    this.#draw();
    moment.oninput = () => this.#select();
    this.#select();
  }

  /** The last gas that is shown: what is claimed of the end is, where it can be. */
  get #last() {
    const last = this.#points.at(-1).gasTotal;
    return this.#claim.isFinal && this.#claim.gas > last ? this.#claim.gas : last;
  }

  #x(gas) { return this.#last === 0n ? 10 : Number((gas * BigInt(WIDTH - 20) * 100n) / this.#last) / 100 + 10; }

  #draw() {
    const points = thinned(this.#points);
    const most = (read) => Math.max(1, ...points.map((point) => Number(read(point))));
    const series = (read) => [{ x: 10, value: 0 }, ...points.map((point) => ({ x: this.#x(point.gasTotal), value: read(point) }))];
    const [mostBytes, mostDepth] = [most((point) => point.binBytes), most((point) => point.depth)];
    const bars = points.map((point, at) => {
      const [from, to] = [at === 0 ? 10 : this.#x(points[at - 1].gasTotal), this.#x(point.gasTotal)];
      const height = (point.binBytes / mostBytes) * (FLOOR - TOP);
      const bar = { class: 'pages', x: from + 1, y: FLOOR - height, width: Math.max(1, to - from - 2), height };
      return draw('rect', bar, draw('title', {}, `snapshot ${point.id}: ${short(point.binBytes)}B changed`));
    });
    const depth = draw('path', { class: 'depth', d: steps(series((point) => point.depth), mostDepth * 1.15) });
    this.now = draw('line', { class: 'now', y1: TOP - 8, y2: FLOOR });
    const axis = draw('line', { class: 'axis', x1: 10, x2: WIDTH - 10, y1: FLOOR, y2: FLOOR });
    const texts = [
      draw('text', { x: 10, y: HEIGHT - 8 }, '0 gas'),
      draw('text', { x: WIDTH - 10, y: HEIGHT - 8, 'text-anchor': 'end' }, `${short(this.#last)} gas`),
    ];
    const label = `${this.#points.length} snapshots over ${grouped(this.#last)} gas`;
    const svg = draw('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label }, ...bars, depth, axis, this.now, ...texts);
    byId('chart').replaceChildren(svg);
    byId('chart-said').textContent = `Bars: size of the pages that a segment changed, at most ${short(mostBytes)}B. Line: depth of the call stack, at most ${mostDepth}.`;
  }

  async #select() {
    const moment = byId('moment');
    const point = this.#points[Number(moment.value) - 1];
    show(byId('stack-region'), point !== undefined);
    moment.setAttribute('aria-valuetext', point === undefined ? 'the end' : `snapshot ${point.id}`);
    const x = this.#x(point?.gasTotal ?? this.#last);
    this.now.setAttribute('x1', String(x));
    this.now.setAttribute('x2', String(x));
    if (point === undefined) return this.#showEnd();
    const snap = await read(this.#chain.files.get(`${point.id}.snap`));
    // Another one may be wanted by now.
    if (this.#points[Number(moment.value) - 1] === point) this.#showMoment(point, snap);
    return undefined;
  }

  #showEnd() {
    const { gas, ended, result } = this.#claim;
    byId('moment-said').textContent = `The end: ${grouped(gas)} gas, ${endWords(ended)}${result === null ? '' : `, ${result}`}.`;
    this.#showOutput(this.#kept?.length);
  }

  #showMoment({ id, gasTotal }, snap) {
    const { state } = snap;
    const pages = state.spaces.filter(({ kind }) => kind === 1).reduce((sum, space) => sum + space.pages, 0n);
    const written = writtenBy(snap);
    const output = written === null ? '' : `, ${grouped(written.stdout)} bytes on standard output, ${grouped(written.stderr)} on standard error`;
    byId('moment-said').textContent = `Snapshot ${id}: ${grouped(gasTotal)} gas, in the ${state.phase}, ${short(pages * 4096n)}B of memory${output}.`;
    this.#showStack(state);
    this.#showOutput(written?.stdout);
  }

  #showStack({ stack, instances }) {
    const rows = [];
    let before = -1;
    for (const frame of stack.kept) {
      if (frame.depth > before + 1) rows.push(make('tr', {}, make('td', { colspan: 5 }, `${frame.depth - before - 1} more`)));
      before = frame.depth;
      rows.push(this.#frame(frame, frame.instance === instances - 1));
    }
    byId('stack-rows').replaceChildren(...rows);
  }

  /** A frame; the names are those of the program, which is the last instance. */
  #frame({ depth, instance, func, offset, locals, operands }, isOfProgram) {
    const name = isOfProgram ? this.#names.get(func) : undefined;
    const shown = name === undefined ? `function ${func}` : `${name} (function ${func})`;
    const text = isOfProgram ? shown : `${shown} of instance ${instance}`;
    const numbers = [`0x${offset.toString(16)}`, locals, operands].map((value) => make('td', { class: 'number' }, String(value)));
    return make('tr', {}, make('td', {}, String(depth)), make('td', {}, text), ...numbers);
  }

  /** So many bytes of standard output, where the receipt has kept it. */
  #showOutput(length) {
    const kept = this.#kept;
    const isKept = kept !== null && length !== undefined;
    show(byId('output'), isKept);
    show(byId('output-title'), isKept);
    if (!isKept) return;
    const bytes = kept.subarray(0, Math.min(Number(length), kept.length));
    const text = new TextDecoder().decode(bytes.subarray(-SHOWN_OUTPUT));
    byId('output').textContent = bytes.length === 0 ? 'nothing yet' : text;
  }
}
