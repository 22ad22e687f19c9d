// The claim of a chain, in words.

import { lines } from '../chain/claim.js';
import { byId, make } from './dom.js';

/** What a reader looks for first. */
const KEY = ['program', 'call', 'result', 'ended', 'length'];

/** Shows a claim. @param {import('../chain/claim.js').Claim} claimed */
export const showClaim = (claimed) => {
  const rows = lines(claimed).flatMap(([name, text]) => [
    make('dt', {}, name), make('dd', KEY.includes(name) ? { class: 'key' } : {}, text),
  ]);
  byId('claim-lines').replaceChildren(...rows);
};
