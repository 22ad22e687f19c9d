// A Web Worker of a verification.

import { tasks } from './tasks.js';

const take = tasks((message) => postMessage(message));
let before = Promise.resolve();
addEventListener('message', ({ data }) => { before = before.then(() => take(data)); });
