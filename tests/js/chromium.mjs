// One function in a worker of a page in headless Chromium. RUNTIMES, everywhere here, is a directory that
// tests/runtimes/get.sh filled: `node_modules/playwright-core` and the command `chromium` are from there.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pack, unpack } from './pack.mjs';

const TYPES = { '.mjs': 'text/javascript', '.js': 'text/javascript', '.wasm': 'application/wasm' };
const PAGE = '<!doctype html><title>node</title><script type="module" src="/page.mjs"></script>';
const PAGE_SCRIPT = `
const worker = new Worker('/worker.mjs', { type: 'module' });
const send = (path, body) => fetch(path, { method: 'POST', body });
worker.onmessage = ({ data }) => send(data.error ? '/error' : '/result', data.error ?? data.result);
worker.onerror = ({ message }) => send('/error', message ?? 'the worker does not start');
`;
const worker = (module, name) => `
import { pack, unpack } from '/here/pack.mjs';
try {
  const { ${name}: run } = await import('/module/${module}');
  const argument = unpack(new Uint8Array(await (await fetch('/argument')).arrayBuffer()));
  postMessage({ result: pack(await run(argument)) });
} catch (error) {
  postMessage({ error: String(error?.stack ?? error) });
}
`;
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/**
 * What the exported function `name` of the module file `path` returns for `argument`, called in a module worker of a fresh
 * page. Argument and result are JSON values with Uint8Arrays anywhere in them. In the page the module's own directory is
 * `/module/`, this one `/here/`, and RUNTIMES `/runtimes/`. An error thrown there is thrown here.
 */
export async function inPage(runtimes, path, name, argument) {
  const folders = { module: dirname(resolve(path)), here: dirname(fileURLToPath(import.meta.url)), runtimes };
  const texts = { '/': PAGE, '/page.mjs': PAGE_SCRIPT, '/worker.mjs': worker(basename(path), name) };
  let answered;
  let failed;
  const answer = new Promise((good, bad) => { answered = good; failed = bad; });

  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const send = (type, body) => response.writeHead(200, { 'content-type': type }).end(body);
    try {
      if (request.method === 'POST') {
        const chunks = [];
        for await (const chunk of request) chunks.push(chunk);
        const body = Buffer.concat(chunks);
        send('text/plain', '');
        if (pathname === '/result') answered(unpack(body));
        else failed(new Error(`in the page: ${body}`));
      } else if (pathname === '/argument') {
        send('application/octet-stream', pack(argument));
      } else if (pathname in texts) {
        send(pathname === '/' ? 'text/html' : 'text/javascript', texts[pathname]);
      } else {
        const [, folder, ...rest] = decodeURIComponent(pathname).split('/');
        send(TYPES[extname(pathname)] ?? 'application/octet-stream', await readFile(join(folders[folder], ...rest)));
      }
    } catch (error) {
      response.writeHead(404).end(String(error));
    }
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));

  const { chromium } = createRequire(join(resolve(runtimes), 'package.json'))('playwright-core');
  const browser = await chromium.launch({ executablePath: join(resolve(runtimes), 'chromium'), args: FLAGS });
  try {
    const page = await browser.newPage();
    page.on('crash', () => failed(new Error('the page crashed')));
    page.on('pageerror', failed);
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    return await answer;
  } finally {
    await browser.close();
    server.close();
  }
}
