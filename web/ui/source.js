// Where a chain comes from: files that were dropped or picked, an archive, or what the page is served with.

import { read } from '../chain/tar.js';

/**
 * Files by their names below one folder.
 * @typedef {Map<string, Blob>} Files
 */

const isArchive = (name) => /\.tar$/i.test(name);

/** The files of a folder that was dropped, whatever is in it. */
const ofEntry = async (entry, path) => {
  if (entry.isFile) return [[path, await new Promise((resolve, reject) => { entry.file(resolve, reject); })]];
  const reader = entry.createReader();
  const all = [];
  for (let some; (some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); })).length > 0;) all.push(...some);
  const inside = await Promise.all(all.map((one) => ofEntry(one, path === '' ? one.name : `${path}/${one.name}`)));
  return inside.flat();
};

/** An archive among the files stands for what is in it. */
const unpacked = async (files) => {
  const all = new Map();
  for (const [name, file] of files) {
    if (!isArchive(name)) all.set(name, file);
    else for (const [inner, piece] of await read(file)) all.set(inner, piece);
  }
  return all;
};

/** What was dropped. @param {DataTransfer} dropped @returns {Promise<Files>} */
export const dropped = async (dropped) => {
  // All entries at once: the list is empty after the first wait.
  const entries = [...dropped.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
  const files = await Promise.all(entries.map((entry) => ofEntry(entry, entry.isFile ? entry.name : '')));
  return unpacked(files.flat());
};

/** What was picked; of a folder the names within it. @param {FileList} list @returns {Promise<Files>} */
export const picked = async (list) => unpacked([...list].map((file) => {
  const path = file.webkitRelativePath;
  return [path ? path.slice(path.indexOf('/') + 1) : file.name, file];
}));

const fetched = async (url) => {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.pathname} is not there: ${response.status}`);
  return response;
};

/** A chain on the page's own server: an archive, or a folder that lists its files. @param {string} path @returns {Promise<Files>} */
export const served = async (path) => {
  const url = new URL(path, document.baseURI);
  if (url.origin !== location.origin) throw new Error('only what this page is served with');
  if (isArchive(url.pathname)) return read(await (await fetched(url)).blob());
  const names = await (await fetched(url)).json();
  const files = names.map(async (name) => {
    const inside = new URL(name.split('/').map(encodeURIComponent).join('/'), url);
    return [name, await (await fetched(inside)).blob()];
  });
  return new Map(await Promise.all(files));
};
