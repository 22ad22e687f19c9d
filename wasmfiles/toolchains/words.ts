// words [ROUNDS [fail]]: counts the words of standard input, computes for ROUNDS rounds, then fails if told to.
// AssemblyScript has no library for WASI: these are the functions that it needs, declared by hand.

@external("wasi_snapshot_preview1", "fd_read")
declare function fd_read(fd: i32, slices: usize, count: i32, done: usize): i32;
@external("wasi_snapshot_preview1", "fd_write")
declare function fd_write(fd: i32, slices: usize, count: i32, done: usize): i32;
@external("wasi_snapshot_preview1", "args_sizes_get")
declare function args_sizes_get(count: usize, size: usize): i32;
@external("wasi_snapshot_preview1", "args_get")
declare function args_get(pointers: usize, buffer: usize): i32;

// The address and length of a buffer, and how much of it was read or written.
const slice = memory.data(8);
const done = memory.data(4);

function print(line: string): void {
  const bytes = String.UTF8.encode(line + "\n");
  store<usize>(slice, changetype<usize>(bytes));
  store<i32>(slice, bytes.byteLength, 4);
  fd_write(1, slice, 1, done);
}

function countWords(): u64 {
  const buffer = new ArrayBuffer(4096);
  let words: u64 = 0;
  let inside = false;
  while (true) {
    store<usize>(slice, changetype<usize>(buffer));
    store<i32>(slice, buffer.byteLength, 4);
    if (fd_read(0, slice, 1, done) != 0 || load<i32>(done) == 0) return words;
    for (let i = 0; i < load<i32>(done); i++) {
      const c = load<u8>(changetype<usize>(buffer) + i);
      const space = c == 32 || (c >= 9 && c <= 13);
      if (!space && !inside) words++;
      inside = !space;
    }
  }
}

function args(): string[] {
  args_sizes_get(slice, done);
  const count = load<i32>(slice);
  const pointers = new StaticArray<usize>(count);
  const buffer = new ArrayBuffer(load<i32>(done));
  args_get(changetype<usize>(pointers), changetype<usize>(buffer));
  const found: string[] = [];
  for (let i = 0; i < count; i++) found.push(String.UTF8.decodeUnsafe(pointers[i], buffer.byteLength, true));
  return found;
}

function compute(x: u64, rounds: u64): u64 {
  for (; rounds > 0; rounds--) x = (x ^ x >> 29) * 6364136223846793005 + 1442695040888963407;
  return x >> 33;
}

function element(table: i32[], index: i32): i32 {
  return table[index];
}

const given = args();
const words = countWords();
print(words.toString() + " words");
const rounds = given.length > 1 ? U64.parseInt(given[1]) : 0;
print(rounds.toString() + " rounds: " + compute(words, rounds).toString());
if (given.length > 2 && given[2] == "fail") print(element([1, 2, 3], 7).toString());
