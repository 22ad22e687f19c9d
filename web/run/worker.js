// A Web Worker that runs a program.

import { run } from './tasks.js';

addEventListener('message', ({ data }) => run(data, (message) => postMessage(message)));
