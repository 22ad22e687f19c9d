// The page: takes a chain in, shows what it claims, verifies it, and shows the run. Each part has its own file in ui/.

import { claim } from './chain/claim.js';
import { FILES, ofChain, parse } from './chain/names.js';
import { moduleNamed, open } from './chain/open.js';
import { supply } from './chain/supply.js';
import { showClaim } from './ui/claim.js';
import { byId, show } from './ui/dom.js';
import { RunView } from './ui/run.js';
import { dropped, picked, served } from './ui/source.js';
import { Timeline } from './ui/timeline.js';
import { TamperView, VerifyView } from './ui/verify.js';

const verifying = new VerifyView();
/** Files that came beside chains, such as a program: the next chain may need them. */
let beside = [];
/** All files that the chain came with. @type {import('./ui/source.js').Files} */
let whole = new Map();
/** What is shown: another chain that was opened meanwhile is not. */
let current = 0;

const say = (words) => { byId('source-said').textContent = words; };

/** The files that may be those of a job. */
const candidates = (files) => [...[...files].filter(([name]) => parse(name) === null).map(([, file]) => file), ...beside];

const words = (files, from) => {
  const chain = ofChain(files);
  const others = [...files.keys()].filter((name) => parse(name) === null && !name.startsWith(FILES) && !name.endsWith('.wasm'));
  const more = others.length === 0 ? '' : ` Not looked at: ${others.slice(0, 8).join(', ')}${others.length > 8 ? ' and more' : ''}.`;
  return `${chain.size} files of ${from}.${more}`;
};

/** Bytes of the program, for its names; nothing where it is not here. */
const programOf = async (job, found) => {
  const file = found?.get(`job_program/${job.program.name}`);
  return file === undefined ? null : new Uint8Array(await file.arrayBuffer());
};

/** Shows a chain; `all` are the files it came with. */
const showChain = async (chainFiles, all) => {
  const number = (current += 1);
  for (const id of ['claim', 'verify', 'timeline']) show(byId(id), false);
  const chain = await open(chainFiles);
  const found = await supply(chain.job, candidates(all)).catch(() => null);
  const program = await programOf(chain.job, found);
  if (number !== current) return false;
  showClaim(claim(chain));
  show(byId('claim'), true);
  await verifying.show({ chain, named: moduleNamed(chain), supply: () => supply(chain.job, candidates(all)) });
  new Timeline(chain, program).show();
  return true;
};

/** Takes files in: a chain, or what the chain that is shown needs. */
const takeIn = async (files, from) => {
  try {
    const chainFiles = ofChain(files);
    if (chainFiles.size === 0) {
      beside = [...beside, ...files.values()];
      say(`${files.size} file${files.size === 1 ? '' : 's'} beside a chain: a program that a chain names is found by its hash.`);
      return;
    }
    say(words(files, from));
    tampering.show(chainFiles);
    whole = files;
    await showChain(chainFiles, files);
  } catch (error) {
    say(`${from}: nothing can be verified: ${error.message}.`);
  }
};

const tampering = new TamperView(async (files) => {
  try {
    if (await showChain(files, whole)) await verifying.verify();
  } catch (error) {
    show(byId('verify'), true);
    say(`As it is now, nothing can be verified: ${error.message}.`);
  }
});

new RunView((files, from) => takeIn(files, from));

const guarded = (from, files) => files.then((all) => takeIn(all, from), (error) => say(`${from}: ${error.message}.`));

byId('example').addEventListener('click', () => guarded('the built-in example', served('example.tar')));
byId('pick-files').addEventListener('change', ({ target }) => guarded('what you chose', picked(target.files)));
byId('pick-folder').addEventListener('change', ({ target }) => guarded('the folder', picked(target.files)));

const drop = byId('drop');
for (const kind of ['dragover', 'dragleave', 'drop']) {
  document.addEventListener(kind, (/** @type {any} */ event) => {
    event.preventDefault();
    drop.classList.toggle('over', kind === 'dragover');
    if (kind === 'drop') guarded('what you dropped', dropped(event.dataTransfer));
  });
}

const asked = new URLSearchParams(location.search).get('chain');
if (asked !== null) guarded('the chain that is served here', served(asked));
