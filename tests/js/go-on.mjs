// Goes on with a frozen node by the embedder of docs/migration.md, which lies beside this file as thaw.mjs: in a page or in
// Node.js.
import { thaw } from './thaw.mjs';

/**
 * Runs the frozen node until it has used `until` gas since the beginning, and freezes it; without `until`, to the end. What it
 * has handed out on the way; `frozen` or the exit code `exitCode`, the other one null.
 */
export async function goOn({ node, frozen, until }) {
  const session = await thaw(node, frozen);
  const wanted = until === null ? 1n << 62n : BigInt(until) - session.gas();
  const ended = session.run(wanted);
  const [, stdout, stderr] = session.output;
  const files = Object.fromEntries(session.files());
  const exitCode = ended ? session.exitCode() : null;
  return { files, stdout, stderr, exitCode, frozen: ended ? null : await session.freeze() };
}
