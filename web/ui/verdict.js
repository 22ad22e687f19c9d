// What a verification comes to, as it comes: a strip of the segments, what is wrong, and the verdict.

import { byId, grouped, make, show } from './dom.js';

/** Cells of the strip, and rows of the table, that are shown at most. */
const CELLS = 240;
const ROWS = 240;
const FAULTS = 32;
/** The worse a verdict, the later. */
const ORDER = ['same', 'not compared', 'differs'];

const classOf = (word) => (word === undefined ? '' : word.replace(' ', '-'));
const target = ({ to }) => (to === null ? 'the end' : String(to));

/** The worst of some verdicts; nothing while one is not known and none is wrong. */
const worst = (verdicts) => {
  const words = verdicts.map((verdict) => verdict?.word);
  const known = words.filter((word) => word !== undefined && word !== 'same');
  if (known.length > 0) return ORDER[Math.max(...known.map((word) => ORDER.indexOf(word)))];
  return words.includes(undefined) ? undefined : 'same';
};

/** A cell for each segment, or for a few. */
const drawStrip = ({ segments, verdicts }) => {
  const each = Math.ceil(segments.length / CELLS);
  const cells = [];
  for (let at = 0; at < segments.length; at += each) {
    const cell = make('i', { class: classOf(worst(segments.slice(at, at + each).map((_, offset) => verdicts[at + offset]))) });
    cells.push(cell);
  }
  const strip = byId('strip');
  strip.replaceChildren(...cells);
  const count = (word) => verdicts.filter((verdict) => verdict?.word === word).length;
  const wrong = segments.findIndex((_, at) => verdicts[at] !== undefined && verdicts[at].word !== 'same');
  const first = wrong < 0 ? '' : `, the first wrong one from snapshot ${segments[wrong].from} to ${target(segments[wrong])}`;
  strip.setAttribute('aria-label', `${segments.length} segments: ${count('same')} the same, ${count('differs')} differ, ${count('not compared')} not compared${first}`);
};

/** What differs, in words; of a snapshot the two states too. */
const why = ({ text, states }) => {
  const parts = [make('span', { class: 'why' }, text)];
  if (states) {
    parts.push(make('span', { class: 'why' }, `state claimed ${states.claimed ?? 'none that can be read'}`));
    parts.push(make('span', { class: 'why' }, `state executed ${states.executed}`));
  }
  return parts;
};

const row = (segment, verdict) => {
  const number = (value) => make('td', { class: 'number' }, value);
  const { word, differences, gas, milliseconds, worker } = verdict;
  return make(
    'tr', {}, make('td', {}, `${segment.from} → ${target(segment)}`), make('td', { class: classOf(word) }, word, ...differences.flatMap(why)),
    number(grouped(gas)), number(milliseconds.toFixed(0)), number(String(worker + 1)),
  );
};

/** Rows of the segments that are known, the wrong ones first where there are too many. */
const drawRows = ({ segments, verdicts }) => {
  const known = segments.map((segment, at) => [segment, verdicts[at], at]).filter(([, verdict]) => verdict !== undefined);
  const wrong = known.filter(([, verdict]) => verdict.word !== 'same');
  const shown = known.length <= ROWS ? known : [...wrong, ...known.filter(([, verdict]) => verdict.word === 'same')].slice(0, ROWS);
  const rows = shown.map(([segment, verdict]) => row(segment, verdict));
  if (shown.length < known.length) rows.push(make('tr', {}, make('td', { colspan: 5 }, `and ${known.length - shown.length} more`)));
  byId('segment-rows').replaceChildren(...rows);
};

/** Shows how far a verification is. @param {import('../verify/verify.js').Verification} verification */
export const showProgress = (verification) => {
  drawStrip(verification);
  drawRows(verification);
  const total = verification.claim.gas > 0n ? verification.claim.gas : 1n;
  byId('verify-progress').value = Math.min(1, Number(verification.gas) / Number(total));
};

const setVerdict = (kind, word, proved, trust) => {
  const box = byId('verdict');
  box.className = kind;
  byId('verdict-word').textContent = word;
  byId('verdict-proved').textContent = proved;
  byId('verdict-trust').textContent = trust;
  show(box, true);
};

const setFaults = (faults) => {
  const items = faults.slice(0, FAULTS).map((fault) => make('li', {}, fault));
  if (faults.length > FAULTS) items.push(make('li', {}, `and ${faults.length - FAULTS} more`));
  byId('faults').replaceChildren(...items);
  show(byId('faults'), faults.length > 0);
};

/** Begins to show a verification. */
export const showBegin = () => {
  for (const id of ['strip', 'segments', 'verify-progress']) show(byId(id), true);
  show(byId('verdict'), false);
  setFaults([]);
};

/** Shows nothing of a verification. */
export const showNothing = () => ['strip', 'segments', 'verify-progress', 'verdict', 'faults'].forEach((id) => show(byId(id), false));

/** Shows what a verification came to. */
export const showVerdict = (verification, found, moduleHash, isCompiled, seconds) => {
  const { word, proved, faults, same } = found;
  const all = verification.segments.length;
  const what = all === 0 ? 'no snapshot yet' : `${same} of ${all} segments are the same`;
  const faulty = faults.length === 0 ? 'no fault of files' : `${faults.length} fault${faults.length === 1 ? '' : 's'} of files`;
  const workers = `${verification.workers} worker${verification.workers === 1 ? '' : 's'}`;
  const compiled = isCompiled ? ', which compiled the program,' : '';
  setVerdict(
    word, `${word.toUpperCase()}: ${what}, ${faulty}, ${seconds.toFixed(1)} s with ${workers}`, proved,
    `On trust: this browser${compiled} and the module ${moduleHash}.`,
  );
  setFaults(faults);
  show(byId('verify-progress'), false);
};

/** Shows that nothing was decided, and why. */
export const showUndecided = (why) => {
  setVerdict('undecided', 'Nothing was decided', why, '');
  show(byId('verify-progress'), false);
};
