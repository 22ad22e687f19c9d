// Drives the page in a browser, and holds it to the command: drive.mjs JSON, an object with
//   site        the page as a static host has it
//   stepmark    the words of the command, `module` the module, `wasmfiles` the sample programs
//   tools       a folder with `node_modules`: playwright-core and axe-core
//   browser     the program of Chromium
//   every       of the forged chains every so many-th
//   pictures    a folder for pictures, or null
// The last line is JSON: figures, and what fell short.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { filesIn, makeChains } from './chains.mjs';
import { serve } from './static.mjs';

const given = JSON.parse(process.argv[2]);
const require = createRequire(join(resolve(given.tools), 'package.json'));
const ofSite = (path) => import(pathToFileURL(join(resolve(given.site), path)));
const LONG = 120_000;
/** Bytes of the page and the module together. */
const MOST_BYTES = 1_500_000;
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const EVIL = '<img src=x onerror=globalThis.hit=1>';

const short = [];
let checks = 0;
const check = async (what, test) => {
  try {
    await test();
    checks += 1;
    console.log(`ok: ${what}`);
  } catch (error) {
    short.push(what);
    console.log(`SHORT: ${what}: ${error.stack}`);
  }
};

const [command, ...first] = given.stepmark;
const run = (args, cwd) => {
  const { stdout, stderr, status } = spawnSync(command, [...first, ...args], { cwd, encoding: 'utf8', maxBuffer: 1 << 28 });
  return { stdout, stderr, status };
};

const host = await serve(given.site);
const browser = await require('playwright-core').chromium.launch({ executablePath: given.browser, args: FLAGS });
const page = await browser.newPage({ viewport: { width: 1000, height: 900 }, acceptDownloads: true });
const [errors, elsewhere] = [[], []];
page.on('pageerror', (error) => errors.push(String(error)));
page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
page.on('request', (request) => { if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(host.url)) elsewhere.push(request.url()); });

/** Opens a chain: files that are picked; whether it can be verified. */
const pick = async (files) => {
  await page.evaluate(() => { document.getElementById('source-said').textContent = ''; });
  await page.setInputFiles('#pick-files', files);
  await page.waitForFunction(() => {
    const isShown = (id) => !document.getElementById(id).hidden;
    return (isShown('verify') && !isShown('verdict')) || document.getElementById('source-said').textContent.includes('nothing can be verified');
  }, undefined, { timeout: LONG });
  return !(await page.textContent('#source-said')).includes('nothing can be verified');
};

/** Verifies what is shown; the word, and the first wrong segment. */
const verify = async () => {
  await page.click('#verify-start');
  await page.waitForSelector('#verdict:not([hidden])', { timeout: LONG });
  return verdict();
};
const verdict = () => page.evaluate(() => ({
  word: document.getElementById('verdict').className.replace('undecided', 'error'),
  firstWrong: document.querySelector('td.differs, td.not-compared')?.previousElementSibling.textContent.replace('→', '->') ?? null,
}));

const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
/** What axe-core finds, in both colour schemes. It comes in beside the page's policy. */
const accessible = async () => {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(axe);
    const found = await page.evaluate(() => globalThis.axe.run());
    assert.deepEqual(found.violations.map(({ id, nodes }) => `${colorScheme}: ${id}: ${nodes.map(({ html }) => html).join(' ')}`), []);
  }
  await page.emulateMedia({ colorScheme: 'light' });
};

const picture = async (name) => {
  if (given.pictures) await page.screenshot({ path: join(given.pictures, `${name}.png`), fullPage: true });
};

await page.goto(host.url);
await check('an empty page is accessible', accessible);

await check('the built-in example is valid, by the keyboard alone', async () => {
  for (let tabs = 0; tabs < 10 && (await page.evaluate(() => document.activeElement.id)) !== 'example'; tabs += 1) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#verify:not([hidden])');
  for (let tabs = 0; tabs < 20 && (await page.evaluate(() => document.activeElement.id)) !== 'verify-start'; tabs += 1) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#verdict:not([hidden])', { timeout: LONG });
  assert.deepEqual(await verdict(), { word: 'valid', firstWrong: null });
  const { hash, hex } = await ofSite('chain/blake3.js');
  assert.ok((await page.textContent('#verdict-trust')).includes(hex(hash(readFileSync(given.module)))));
  await picture('valid');
});
await check('the receipt of the example names this module (cargo xtask page --bless writes it anew)', async () => {
  assert.ok((await page.textContent('#module-said')).includes('names the same'), await page.textContent('#module-said'));
});
await check('a page with a verdict is accessible', accessible);

await check('the claim is in the words of the command', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'stepmark-example-'));
  assert.equal(run(['import', join(given.site, 'example.tar'), join(dir, 'it')]).status, 0);
  const { stdout } = run(['verify', join(dir, 'it')]);
  const lines = [...stdout.matchAll(/^ {2}(\S[^]*?) {1,}(.*)$/gm)].map(([, name, text]) => [name.trim(), text]);
  const shown = await page.$$eval('#claim-lines dt', (names) => names.map((name) => [name.textContent, name.nextElementSibling.textContent]));
  assert.deepEqual(shown, lines);
  rmSync(dir, { recursive: true });
});

await check('what was tampered with is invalid, and undone it is valid again', async () => {
  await page.click('#tamper summary');
  await page.click('#tamper-flip');
  await page.waitForSelector('#verdict.invalid:not([hidden])', { timeout: LONG });
  await picture('invalid');
  await page.click('#tamper-undo');
  await page.waitForSelector('#verdict.valid:not([hidden])', { timeout: LONG });
});

await check('the timeline goes to any snapshot and shows its stack', async () => {
  await page.focus('#moment');
  await page.keyboard.press('Home');
  await page.waitForFunction(() => document.getElementById('moment-said').textContent.startsWith('Snapshot 1:'));
  assert.ok((await page.textContent('#stack-rows')).includes('main'));
});

await check('the page fits a narrow screen', async () => {
  await page.setViewportSize({ width: 340, height: 700 });
  const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  await picture('narrow');
  await page.setViewportSize({ width: 1000, height: 900 });
  assert.ok(wide <= seen, `${wide} pixels on ${seen}`);
});

const [client, { hash }] = await Promise.all([ofSite('stepmark/stepmark.js'), ofSite('chain/blake3.js')]);
const made = await makeChains({ run, ...given, module: readFileSync(given.module), client, hash });
let same = 0;
for (const { name, dir, program, beside, expected } of made.chains) {
  await check(`the verdict of the command: ${name}: ${expected.word}, ${expected.firstWrong ?? 'no segment'}`, async () => {
    const isShown = await pick([...filesIn(dir), program, ...beside]);
    assert.deepEqual(isShown ? await verify() : { word: 'error', firstWrong: null }, expected);
    same += 1;
  });
}

await check('compiled code comes to the same verdict', async () => {
  const [{ dir, program }] = made.chains;
  await pick([...filesIn(dir), program]);
  await page.check('#compiled');
  assert.deepEqual(await verify(), { word: 'valid', firstWrong: null });
  await page.uncheck('#compiled');
});

/** Runs a program in the page, and saves its chain. */
const runInPage = async (program, { entry = '', args = [], segment, limit = '1000000000' }) => {
  if (await page.$eval('#run', (section) => section.hidden)) await page.click('#show-run');
  await page.setInputFiles('#run-program', program);
  await page.waitForFunction(() => document.getElementById('run-exports').childElementCount > 0);
  for (const [id, value] of [['entry', entry], ['args', args.join('\n')], ['segment', segment], ['limit', limit]]) await page.fill(`#run-${id}`, value);
  await page.click('#run-form button[type=submit]');
  await page.waitForSelector('#run-save:enabled', { timeout: LONG });
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#run-save')]);
  const path = join(made.dir, 'saved.tar');
  await download.saveAs(path);
  return path;
};

/** The files of a chain that are the same wherever it runs. */
const kept = (dir) => Object.fromEntries(readdirSync(dir).filter((name) => /\.(snap|bin)$|^result\.txt$/.test(name))
  .map((name) => [name, readFileSync(join(dir, name), 'hex')]));

await check('a program that runs in the page leaves the bytes of the command', async () => {
  const program = join(made.work, 'sha256.wasm');
  const tar = await runInPage(program, { args: ['3000'], segment: '200000' });
  const [here, there] = [join(made.dir, 'imported'), join(made.dir, 'run')];
  const imported = run(['import', tar, here]);
  assert.equal(imported.status, 0, imported.stderr);
  assert.equal(run(['run', '--gas-limit', '200000', '--enable-gas-refill', '--snapshot-output', there, 'sha256.wasm', '3000'], made.work).status, 0);
  assert.deepEqual(kept(here), kept(there));
  assert.ok(Object.keys(kept(here)).length > 6);
  const verified = run(['verify', here]);
  assert.equal(verified.status, 0, verified.stdout + verified.stderr);
  assert.match(await page.textContent('#run-output'), /^[0-9a-f]{64}\n$/);
  await page.click('#run-verify');
  await page.waitForFunction(() => document.getElementById('source-said').textContent.includes('the run of sha256.wasm'));
  await page.waitForSelector('#verify:not([hidden])');
  assert.deepEqual(await verify(), { word: 'valid', firstWrong: null });
});

await check('a run that is stopped at a limit goes on with the command', async () => {
  const tar = await runInPage(join(made.work, 'fib32.wasm'), { entry: 'fib', args: ['20'], segment: '20000', limit: '50000' });
  const here = join(made.dir, 'stopped');
  assert.equal(run(['import', tar, here]).status, 0);
  const program = join(here, 'files/fib32.wasm');
  assert.equal(run(['verify', here]).status, 75);
  const resumed = run(['resume', here, '--program', program]);
  assert.match(resumed.stdout, /6765/, resumed.stderr);
});

await check('what others have named stays text', async () => {
  const text = JSON.stringify(EVIL).slice(1, -1);
  writeFileSync(join(made.work, 'evil.wat'), `(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "\\10\\00\\00\\00\\${EVIL.length.toString(16)}\\00\\00\\00${text}")
    (func $run (@name "${text}") (export "${text}") (param i64) (result i32) (local i32)
      (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))
      (loop $again (br_if $again (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 1000))))
      (i32.const 7)))`);
  const ran = run(['run', '--gas-limit', '3000', '--enable-gas-refill', '--env', `A=${EVIL}`, '--snapshot-output', 'evil', 'evil.wat', EVIL, '7'], made.work);
  assert.equal(ran.status, 0, ran.stderr);
  assert.equal(run(['export', 'evil', '-o', 'evil.tar', '--program', 'evil.wat'], made.work).status, 0);
  await pick([join(made.work, 'evil.tar')]);
  assert.deepEqual(await verify(), { word: 'valid', firstWrong: null });
  await page.waitForFunction((evil) => document.getElementById('stack-rows').textContent.includes(evil), EVIL);
  assert.ok((await page.textContent('#claim-lines')).includes('onerror'));
  assert.equal(await page.textContent('#output'), EVIL);
  assert.equal(run(['import', 'evil.tar', 'evil-out'], made.work).status, 0);
  await runInPage(join(made.work, 'evil-out/files/evil.wat'), { entry: EVIL, args: ['7'], segment: '3000' });
  assert.equal(await page.textContent('#run-output'), EVIL);
  assert.deepEqual(await page.evaluate(() => [document.querySelectorAll('main img, main script').length, globalThis.hit ?? null]), [0, null]);
});

await check('the policy is in force', async () => {
  const [inline, away] = await page.evaluate(async () => {
    const broken = [];
    document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => broken.push(effectiveDirective));
    const script = document.createElement('script');
    script.textContent = 'globalThis.inline = 1';
    document.body.append(script);
    await fetch('http://127.0.0.1:9/').catch(() => {});
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    return [globalThis.inline ?? null, broken];
  });
  assert.equal(inline, null);
  assert.deepEqual(away.map((directive) => directive.replace('-elem', '')).sort(), ['connect-src', 'script-src']);
  errors.length = 0;
  elsewhere.length = 0;
});

await check('a page with a run is accessible', accessible);

await check('stepmark serve shows a chain under the same policy', async () => {
  const [{ dir, program }] = made.chains;
  writeFileSync(join(dir, 'program.wasm'), readFileSync(program));
  const server = spawn(command, [...first, 'serve', dir]);
  try {
    const [line] = await once(server.stdout, 'data');
    const url = /^(http:\S+)/.exec(String(line))[1];
    const answer = await page.goto(url);
    assert.ok(answer.headers()['content-security-policy'].startsWith("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"));
    await page.waitForSelector('#verify:not([hidden])');
    assert.deepEqual(await verify(), { word: 'valid', firstWrong: null });
    const asked = elsewhere.splice(0).filter((other) => new URL(other).origin !== new URL(url).origin);
    assert.deepEqual(asked, []);
  } finally {
    server.kill();
  }
});

const sizeOf = (path) => readdirSync(path, { withFileTypes: true })
  .reduce((sum, entry) => sum + (entry.isDirectory() ? sizeOf(join(path, entry.name)) : statSync(join(path, entry.name)).size), 0);
const bytes = sizeOf(given.site) - statSync(join(given.site, 'stepmark/compiler.wasm')).size;
await check(`page and module have at most ${MOST_BYTES} bytes: ${bytes}`, () => assert.ok(bytes <= MOST_BYTES));

await check('nothing failed in the page, and nothing was asked of others', () => {
  assert.deepEqual(errors, []);
  assert.deepEqual(elsewhere, []);
});

await browser.close();
host.end();
for (const dir of [made.dir, made.work]) rmSync(dir, { recursive: true });
console.log(JSON.stringify({ chains: made.chains.length, same, checks, short, bytes }));
process.exitCode = short.length > 0 ? 1 : 0;
