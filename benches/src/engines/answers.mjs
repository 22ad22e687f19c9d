// Requests and answers of piped.rs: each line of standard input is a request, each line of standard output its answer, both JSON.
import { createInterface } from 'node:readline';

/** Answers each request by the function of its name, until standard input ends. */
export const answer = async (requests) => {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    let reply;
    try {
      reply = { value: (await requests[request.call](request)) ?? null };
    } catch (error) {
      reply = { error: String(error) };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
};
