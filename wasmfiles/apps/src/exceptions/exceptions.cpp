// Throws and catches in every way that C++ has, and many times: through calls, loops, destructors, constructors, virtual and
// indirect calls, handlers inside handlers. Prints what was caught, and a checksum over the order in which things happened.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

uint64_t checksum = 14695981039346656037u;
unsigned alive = 0, unwinding = 0;

void note(uint64_t value) { checksum = (checksum ^ value) * 1099511628211u; }

struct Guard {
    int id;
    explicit Guard(int id) : id(id) { alive++; }
    ~Guard() {
        alive--;
        if (std::uncaught_exceptions()) unwinding++;
        note(static_cast<uint64_t>(id));
    }
};

struct Failure : std::exception {
    int code;
    explicit Failure(int code) : code(code) {}
    const char *what() const noexcept override { return "failure"; }
};
struct Left : virtual Failure { int left = 1; Left() : Failure(10) {} };
struct Right : virtual Failure { int right = 2; Right() : Failure(20) {} };
struct Both : Left, Right {
    std::string text;
    explicit Both(const char *text) : Failure(30), text(text) {}
    const char *what() const noexcept override { return text.c_str(); }
};
struct Private : private Failure { Private() : Failure(40) {} };
enum class Colour { red = 7 };

void raise(int kind) {
    switch (kind) {
    case 0: throw 5;
    case 1: throw 2.5;
    case 2: throw "text";
    case 3: throw std::string("a longer string that is surely on the heap");
    case 4: throw Failure(4);
    case 5: throw Left();
    case 6: throw Both("both ways");
    case 7: throw Private();
    case 8: throw std::out_of_range("range");
    case 9: throw Colour::red;
    case 10: throw static_cast<Failure *>(nullptr);
    case 11: throw std::bad_alloc();
    case 12: throw std::make_unique<Guard>(12);
    case 13: throw uint64_t{1} << 40;
    case 14: throw nullptr;
    case 15: std::vector<int>(3).at(3); break;
    default: break;
    }
}

std::string describe(int kind) {
    Guard guard(kind);
    try {
        Guard inner(100 + kind);
        raise(kind);
    } catch (int value) {
        return "int " + std::to_string(value);
    } catch (double value) {
        return "double " + std::to_string(static_cast<int>(value * 10));
    } catch (const char *value) {
        return std::string("chars ") + (value ? value : "none");
    } catch (const std::string &value) {
        return "string of " + std::to_string(value.size());
    } catch (const Right &value) {
        return "right " + std::to_string(value.right) + " " + value.what() + " " + std::to_string(value.code);
    } catch (Failure &value) {
        return std::string("failure ") + value.what() + " " + std::to_string(value.code);
    } catch (const std::logic_error &value) {
        return std::string("logic ") + value.what();
    } catch (const std::exception &) {
        return "exception";
    } catch (Colour value) {
        return "colour " + std::to_string(static_cast<int>(value));
    } catch (Failure *value) {
        return value ? "pointer" : "null pointer";
    } catch (const std::unique_ptr<Guard> &value) {
        return "owner of " + std::to_string(value->id);
    } catch (...) {
        return "something";
    }
    return "nothing";
}

// Down `depth` calls and up again, some levels of which catch, change and throw again.
int descend(int depth, uint32_t pattern) {
    Guard guard(depth);
    if (depth == 0) {
        if (pattern % 3 == 0) throw Both("from below");
        if (pattern % 3 == 1) throw static_cast<int>(pattern);
        return 1;
    }
    try {
        return descend(depth - 1, pattern) + 1;
    } catch (int value) {
        note(static_cast<uint64_t>(value));
        if (pattern >> depth & 1) throw;
        if (depth % 4 == 0) throw Failure(value);
        if (depth % 7 == 0) return value;
        throw value + 1;
    } catch (Left &value) {
        value.left++;
        note(static_cast<uint64_t>(value.left));
        try {
            if (depth % 5 == 0) throw std::string("inside a handler");
            throw;
        } catch (const std::string &text) {
            note(text.size());
            if (depth % 2) throw;
        } catch (Right &again) {
            if (again.code == 30 && value.left > 6) throw Failure(value.left);
            throw;
        }
        return value.left;
    }
}

struct Part {
    Guard guard;
    explicit Part(int id) : guard(id) {
        if (id % 4 == 3) throw id;
    }
};
struct Whole {
    Part a, b, c;
    explicit Whole(int id) try : a(id), b(id + 1), c(id + 2) {
    } catch (int failed) {
        throw Failure(failed);
    }
};

struct Node {
    virtual ~Node() = default;
    virtual int value(const std::map<std::string, int> &names) const = 0;
};
struct Name : Node {
    std::string name;
    explicit Name(std::string name) : name(std::move(name)) {}
    int value(const std::map<std::string, int> &names) const override { return names.at(name); }
};
struct Quotient : Node {
    std::unique_ptr<Node> a, b;
    Quotient(std::unique_ptr<Node> a, std::unique_ptr<Node> b) : a(std::move(a)), b(std::move(b)) {}
    int value(const std::map<std::string, int> &names) const override {
        const int divisor = b->value(names);
        if (divisor == 0) throw std::domain_error("division by zero");
        return a->value(names) / divisor;
    }
};

std::unique_ptr<Node> parse(const char *&at) {
    if (*at == '/') {
        at++;
        auto a = parse(at), b = parse(at);
        return std::make_unique<Quotient>(std::move(a), std::move(b));
    }
    if (*at < 'a' || *at > 'z') throw std::invalid_argument(std::string("unexpected ") + (*at ? *at : '$'));
    return std::make_unique<Name>(std::string(1, *at++));
}

std::string evaluate(const char *text) {
    const std::map<std::string, int> names = {{"a", 84}, {"b", 6}, {"c", 0}};
    try {
        const char *at = text;
        const auto tree = parse(at);
        return std::to_string(tree->value(names));
    } catch (const std::domain_error &error) {
        return error.what();
    } catch (const std::invalid_argument &error) {
        return error.what();
    } catch (const std::out_of_range &) {
        return "no such name";
    }
}

} // namespace

int main() {
    for (int kind = 0; kind <= 16; kind++) std::printf("%d: %s\n", kind, describe(kind).c_str());
    for (const char *text : {"/ab", "//abb", "/ac", "/ax", "/a", "/a/bc", "+"})
        std::printf("%s: %s\n", text, evaluate(text).c_str());

    uint64_t returned = 0;
    int ints = 0, failures = 0, strings = 0, lefts = 0;
    uint32_t state = 12345;
    for (int i = 0; i < 1500; i++) {
        state = state * 1664525 + 1013904223;
        try {
            returned += static_cast<unsigned>(descend(static_cast<int>(state >> 24) % 24, state >> 4));
        } catch (int) {
            ints++;
        } catch (Left &) {
            lefts++;
        } catch (const Failure &failure) {
            failures += failure.code != 0;
        } catch (const std::string &) {
            strings++;
        }
    }
    std::printf("descents: %llu, %d, %d, %d, %d\n", static_cast<unsigned long long>(returned), ints, lefts, failures, strings);

    int built = 0, broken = 0;
    for (int id = 0; id < 40; id++) {
        try {
            Whole whole(id);
            built++;
        } catch (const Failure &failure) {
            broken += failure.code;
        }
    }
    std::printf("built %d, broken %d\n", built, broken);

    std::vector<int> numbers;
    for (int i = 0; i < 200; i++) numbers.push_back(i * 7919 % 200);
    int compared = 0;
    for (int limit = 100; limit < 2200; limit += 300) {
        try {
            int left = limit;
            std::vector<int> copy = numbers;
            std::sort(copy.begin(), copy.end(), [&](int a, int b) { return left-- ? a < b : throw limit; });
            std::printf("sorted within %d: %d..%d\n", limit, copy.front(), copy.back());
            break;
        } catch (int stopped) {
            compared += stopped;
        }
    }
    const std::function<void(int)> step = [&](int n) {
        Guard guard(n);
        if (n == 0) throw Colour::red;
        step(n - 1);
    };
    try {
        step(300);
    } catch (Colour colour) {
        std::printf("comparisons %d, colour %d\n", compared, static_cast<int>(colour));
    }
    std::printf("alive %u, unwound %u, uncaught %d\n", alive, unwinding, std::uncaught_exceptions());
    std::printf("checksum %016llx\n", static_cast<unsigned long long>(checksum));
    return alive ? 1 : 0;
}
