-- What a Lua program is made of: tables, closures, metatables, strings and patterns, errors, coroutines, the collector, files.
local seed, path = ...

local random = tonumber(seed)
local function next_random(n)
  random = (random * 1103515245 + 12345) % 2147483648
  return random // 65536 % n
end

-- Words with their counts, in order.
local syllables = { "ka", "lo", "mi", "ne", "ru", "so", "ti", "va" }
local counts, words = {}, {}
for i = 1, 3000 do
  local word = syllables[next_random(8) + 1] .. syllables[next_random(8) + 1] .. syllables[next_random(3) + 1]
  if not counts[word] then
    counts[word] = 0
    words[#words + 1] = word
  end
  counts[word] = counts[word] + 1
end
table.sort(words, function(a, b)
  if counts[a] ~= counts[b] then return counts[a] > counts[b] end
  return a < b
end)
print("words", #words, words[1], counts[words[1]], words[#words], counts[words[#words]])

-- Classes.
local Account = {}
Account.__index = Account
function Account.new(balance) return setmetatable({ balance = balance, log = {} }, Account) end
function Account:move(amount)
  if self.balance + amount < 0 then error({ kind = "overdrawn", by = -(self.balance + amount) }) end
  self.balance = self.balance + amount
  self.log[#self.log + 1] = amount
end
local account, refused, missing = Account.new(500), 0, 0
for i = 1, 1000 do
  local good, problem = pcall(account.move, account, next_random(201) - 100)
  if not good then
    assert(problem.kind == "overdrawn")
    refused, missing = refused + 1, missing + problem.by
  end
end
print("account", account.balance, #account.log, refused, missing)

-- Errors through many levels, with handlers, and errors of the interpreter itself.
local function deep(n)
  if n == 0 then return nil + 1 end
  local good, problem = pcall(deep, n - 1)
  error(problem, 0)
end
print(select(2, pcall(deep, 20)))
print(select(2, xpcall(function() return #5 end, function(m) return "handled: " .. m end)))
print(select(2, pcall(string.rep, "x", -1)), pcall(string.rep))
print(select(2, load("x = = 1", "chunk")))
print(select(2, load("return " .. ("("):rep(300) .. "1", "chunk")))

-- Coroutines: a generator of primes by filters, each a coroutine, and errors through them.
local function numbers() return coroutine.wrap(function() for n = 2, math.huge do coroutine.yield(n) end end) end
local function filter(p, source)
  return coroutine.wrap(function()
    for n in source do
      if n % p ~= 0 then coroutine.yield(n) end
    end
  end)
end
local source, last = numbers(), nil
for i = 1, 30 do
  last = source()
  source = filter(last, source)
end
print("prime 30", last)
local inside = coroutine.create(function(a)
  local b = coroutine.yield(a + 1)
  local good, c = pcall(function() return coroutine.yield(b * 2) + nil end)
  coroutine.yield(good, c)
  error("out of it")
end)
print(coroutine.resume(inside, 1))
print(coroutine.resume(inside, 10))
print(coroutine.resume(inside, 3))
print(coroutine.resume(inside))
print(coroutine.status(inside), coroutine.resume(inside))

-- Things to be closed, things to be collected.
do
  local order = {}
  local function closing(name) return setmetatable({}, { __close = function() order[#order + 1] = name end }) end
  pcall(function()
    local a <close> = closing("a")
    local b <close> = closing("b")
    error("leave")
  end)
  print("closed", table.concat(order, " "))
end
local dead = 0
for i = 1, 2000 do setmetatable({ i }, { __gc = function() dead = dead + 1 end }) end
collectgarbage()
collectgarbage()
print("collected", dead)

-- Strings.
local text = ("The quick brown fox; jumps over 12 lazy dogs. "):rep(60)
local vowels, longest = select(2, text:gsub("[aeiou]", "")), ""
for word in text:gmatch("%a+") do
  if #word > #longest then longest = word end
end
print("text", #text, vowels, longest, text:find("(%d+) (%a+)"))
print(string.format("%5.2f|%-8s|%08x|%q", math.pi, "left", 48879, "a\nb"), string.pack("<i4z", 7, "zero"):byte(1, -1))
print(utf8.char(955, 8364, 128512), utf8.len("λ€😀"), 7 // 2, -7 // 2, 7 % -3, 2 ^ 0.5, 1e15, math.maxinteger + 1)

-- Queens.
local function queens(n)
  local solutions, columns, up, down = 0, {}, {}, {}
  local function place(row)
    if row > n then
      solutions = solutions + 1
      return
    end
    for c = 1, n do
      if not (columns[c] or up[row + c] or down[row - c]) then
        columns[c], up[row + c], down[row - c] = true, true, true
        place(row + 1)
        columns[c], up[row + c], down[row - c] = nil, nil, nil
      end
    end
  end
  place(1)
  return solutions
end
print("queens", queens(6))

-- Files.
local file = assert(io.open(path, "w"))
for i, word in ipairs(words) do file:write(word, " ", counts[word], "\n") end
file:close()
local lines, sum = 0, 0
for line in io.lines(path) do
  lines, sum = lines + 1, sum + tonumber(line:match("%d+"))
end
print("file", lines, sum)
print(io.open("nowhere/at all"))
os.remove(path)
print("removed", io.open(path) == nil)
