// Runs a job by the client in `js`: client.mjs PACKAGE TIER ARGUMENTS ...
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, tier, ...args] = process.argv.slice(2);
const { load, run } = await import(pathToFileURL(join(folder, 'node.js')));
try {
  const job = await run(await load(), args, {
    tier,
    stdout: (bytes) => process.stdout.write(bytes),
    stderr: (bytes) => process.stderr.write(bytes),
  });
  process.exitCode = job.exitCode;
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = error.exitCode ?? 1;
}
