// What a JavaScript program is made of: classes, closures, generators, promises, exceptions, regular expressions, big
// integers, typed arrays, Map and Set, JSON, the collector, files.
'use strict';

let state = 88172645463325252n;
function random(n) {
    state ^= BigInt.asUintN(64, state << 13n);
    state ^= state >> 7n;
    state ^= BigInt.asUintN(64, state << 17n);
    return Number(state % BigInt(n));
}

// A tokenizer, a parser and an evaluator of expressions, with errors as exceptions.
class ParseError extends Error {
    constructor(message, at) {
        super(`${message} at ${at}`);
        this.name = 'ParseError';
    }
}
function* tokens(text) {
    const pattern = /\s*(?:(?<number>\d+(?:\.\d+)?)|(?<name>[a-z]\w*)|(?<operator>[-+*\/^()]))/gy;
    while (pattern.lastIndex < text.length) {
        const at = pattern.lastIndex, match = pattern.exec(text);
        if (!match) throw new ParseError('unknown character', at);
        yield { ...match.groups, at };
    }
    yield { end: true, at: text.length };
}
const powers = { '+': 1, '-': 1, '*': 2, '/': 2, '^': 3 };
function parse(text) {
    const all = [...tokens(text)];
    let i = 0;
    const primary = () => {
        const token = all[i++];
        if (token.number !== undefined) return () => Number(token.number);
        if (token.name !== undefined) return names => {
            if (!(token.name in names)) throw new ReferenceError(`no ${token.name}`);
            return names[token.name];
        };
        if (token.operator === '(') {
            const inner = binary(0);
            if (all[i++].operator !== ')') throw new ParseError('missing )', all[i - 1].at);
            return inner;
        }
        if (token.operator === '-') { const operand = binary(2); return names => -operand(names); }
        throw new ParseError('unexpected token', token.at);
    };
    const binary = power => {
        let left = primary();
        for (;;) {
            const operator = all[i].operator, strength = powers[operator] ?? 0;
            if (strength <= power) return left;
            i++;
            const a = left, b = binary(operator === '^' ? strength - 1 : strength);
            left = {
                '+': n => a(n) + b(n), '-': n => a(n) - b(n), '*': n => a(n) * b(n),
                '/': n => a(n) / b(n), '^': n => a(n) ** b(n),
            }[operator];
        }
    };
    const tree = binary(0);
    if (!all[i].end) throw new ParseError('text after the expression', all[i].at);
    return tree;
}
for (const text of ['1 + 2 * 3', '2 ^ 3 ^ 2 / 7', '-(x - 4.5) * x', '1 +', '(1', 'y', '3 $ 4', '1 2']) {
    try {
        print(text, '=', parse(text)({ x: 7 }));
    } catch (error) {
        print(text, '->', error instanceof ParseError, String(error));
    } finally {
        random(2);
    }
}
let sum = 0;
for (let i = 0; i < 20; i++) sum += parse(`(x + ${random(100)}) * ${random(9)} - x ^ 2 / ${1 + random(7)}`)({ x: i });
print('sum', sum.toFixed(6));

// Records: sorting, grouping, JSON there and back through a file.
const records = Array.from({ length: 250 }, (_, id) => ({
    id, group: 'abcdefg'[random(7)], size: random(10000), tags: new Array(random(4)).fill(0).map(() => `t${random(12)}`),
}));
records.sort((a, b) => a.group.localeCompare(b.group) || b.size - a.size || a.id - b.id);
writeFile('records.json', JSON.stringify(records, null, 1));
const again = JSON.parse(readFile('records.json'), (key, value) => key === 'tags' ? new Set(value) : value);
const groups = new Map();
for (const { group, size, tags } of again) {
    const entry = groups.get(group) ?? { count: 0, size: 0, tags: new Set() };
    groups.set(group, { count: entry.count + 1, size: entry.size + size, tags: new Set([...entry.tags, ...tags]) });
}
for (const [group, { count, size, tags }] of groups) print(group, count, size, tags.size);

// Big integers and typed arrays.
let factorial = 1n;
for (let i = 1n; i <= 60n; i++) factorial *= i;
print('60! mod', factorial % 1000000007n, 'digits', String(factorial).length);
const sieve = new Uint8Array(6000);
let primes = 0;
for (let i = 2; i < sieve.length; i++) {
    if (sieve[i]) continue;
    primes++;
    for (let j = i * i; j < sieve.length; j += i) sieve[j] = 1;
}
const view = new DataView(new ArrayBuffer(16));
view.setFloat64(0, Math.PI);
view.setInt32(8, -2, true);
print('primes', primes, 'view', [...new Uint8Array(view.buffer)].join(' '));

// Promises run after the script, in order.
const log = [];
const later = (value, fails) => new Promise((good, bad) => (fails ? bad : good)(value));
async function work(name, steps) {
    for (let i = 0; i < steps; i++) {
        try {
            log.push(`${name}${await later(i, i % 3 === 2)}`);
        } catch (value) {
            log.push(`${name}!${value}`);
        }
    }
    return name;
}
Promise.all([work('a', 5), work('b', 4), work('c', 3)])
    .then(names => { print('promises', names.join(''), log.join(' ')); throw new TypeError('last'); })
    .catch(error => print('caught', error.name, error.message));

// Proxies, symbols, garbage in circles, exceptions from deep recursion.
const seen = [];
const proxy = new Proxy({}, { get: (_, key) => (seen.push(String(key)), key) });
print(`${proxy.one}${proxy.two}`, seen.join());
class Range {
    constructor(to) { this.to = to; }
    *[Symbol.iterator]() { for (let i = 0; i < this.to; i++) yield i; }
}
print(Math.max(...new Range(50)), [...new Range(5)].map(x => x ** 0.5).join());
for (let i = 0; i < 1000; i++) { const a = { i }, b = { a }; a.b = b; }
const dive = n => n === 0 ? null.x : dive(n - 1) + 1;
try { dive(100); } catch (error) { print(error.name, error.stack.split('\n').length > 5); }
print([3, 1, 2].toSorted().join(), 'a-b-c'.replaceAll('-', '+'), 'λ€😀'.length, 0.1 + 0.2, 1e21, (255).toString(16), -0 === 0);
print(new Date(86400000 * 365.25).toISOString(), 'x'.padStart(5, 'ab'), [1, [2, [3]]].flat(Infinity).join());
