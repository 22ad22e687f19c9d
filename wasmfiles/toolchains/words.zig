//! words [ROUNDS [fail]]: counts the words of standard input, computes for ROUNDS rounds, then fails if told to.
const std = @import("std");

fn compute(start: u64, rounds: u64) u64 {
    var x = start;
    var left = rounds;
    while (left > 0) : (left -= 1) x = (x ^ (x >> 29)) *% 6364136223846793005 +% 1442695040888963407;
    return x >> 33;
}

noinline fn element(table: []const u32, index: usize) u32 {
    return table[index];
}

pub fn main(init: std.process.Init) !void {
    const args = try init.minimal.args.toSlice(init.arena.allocator());
    var in_buffer: [4096]u8 = undefined;
    var in: std.Io.File.Reader = .initStreaming(.stdin(), init.io, &in_buffer);
    var out_buffer: [256]u8 = undefined;
    var out: std.Io.File.Writer = .initStreaming(.stdout(), init.io, &out_buffer);

    var words: u64 = 0;
    var inside = false;
    while (in.interface.takeByte()) |c| {
        const space = std.ascii.isWhitespace(c);
        if (!space and !inside) words += 1;
        inside = !space;
    } else |failure| if (failure != error.EndOfStream) return failure;
    try out.interface.print("{d} words\n", .{words});

    const rounds = if (args.len > 1) try std.fmt.parseInt(u64, args[1], 10) else 0;
    try out.interface.print("{d} rounds: {d}\n", .{ rounds, compute(words, rounds) });
    try out.interface.flush();
    if (args.len > 2 and std.mem.eql(u8, args[2], "fail")) {
        try out.interface.print("{d}\n", .{element(&.{ 1, 2, 3 }, 7)});
        try out.interface.flush();
    }
}
