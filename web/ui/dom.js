// The page's elements. Texts of others become text nodes and attributes only, never markup.

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

const SVG = 'http://www.w3.org/2000/svg';

const fill = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
};

/** An element with attributes and children, each a node or a text. */
export const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** As `make`, of a drawing. */
export const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** Shows or hides an element. */
export const show = (element, isShown) => { element.hidden = !isShown; };

/** A number with its digits in groups. */
export const grouped = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, '\u202f');

const UNITS = [{ unit: 'G', size: 1e9 }, { unit: 'M', size: 1e6 }, { unit: 'k', size: 1e3 }];

/** Bytes or gas in few digits. */
export const short = (value) => {
  const number = Number(value);
  const { unit, size } = UNITS.find((one) => number >= one.size) ?? { unit: '', size: 1 };
  return `${Number((number / size).toPrecision(3))}${unit && `\u202f${unit}`}`;
};

/** Calls once in a frame, however often it is asked to. */
export const throttled = (call) => {
  let isWaiting = false;
  return () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      call();
    });
  };
};

/** Offers a file to be saved. */
export const save = (file, name) => {
  const url = URL.createObjectURL(file);
  const link = make('a', { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
};
