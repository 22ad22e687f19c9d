// What a C++ program needs from its library to throw and catch on WebAssembly: the library at hand was built without it.
// The engine unwinds; this keeps the exceptions alive and decides, with the compiler's tables, which catch is meant.

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <typeinfo>

namespace __cxxabiv1 {

// As the library declares it: the order of the virtual functions is what counts.
class __shim_type_info : public std::type_info {
public:
    virtual ~__shim_type_info();
    virtual void noop1() const;
    virtual void noop2() const;
    virtual bool can_catch(const __shim_type_info *thrown, void *&object) const = 0;
};

} // namespace __cxxabiv1

namespace {

using __cxxabiv1::__shim_type_info;

// Stands in front of the thrown object.
struct alignas(16) Exception {
    std::type_info *type;
    void *(*destroy)(void *); // destructors return the object here
    void *adjusted;     // the object as the catch sees it
    Exception *outer;   // the one whose handler this one was caught in
    int handlers;       // that hold it
    bool thrown_again;
};

Exception *caught = nullptr;
unsigned uncaught = 0;

Exception *header(void *object) { return static_cast<Exception *>(object) - 1; }

uint32_t uleb(const uint8_t *&at) {
    uint32_t value = 0;
    for (int shift = 0;; shift += 7) {
        const uint8_t byte = *at++;
        value |= static_cast<uint32_t>(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return value;
    }
}

int32_t sleb(const uint8_t *&at) {
    int32_t value = 0;
    for (int shift = 0;;) {
        const uint8_t byte = *at++;
        value |= static_cast<int32_t>(byte & 0x7f) << shift;
        shift += 7;
        if (!(byte & 0x80)) return byte & 0x40 && shift < 32 ? value | -(1 << shift) : value;
    }
}

// Whether a catch of `wanted` (null: of anything) is meant; if so, `exception` remembers what the handler sees.
bool catches(const std::type_info *wanted, Exception *exception) {
    void *object = exception + 1;
    const auto *thrown = static_cast<const __shim_type_info *>(exception->type);
    // A thrown pointer is seen by its value.
    if (wanted && !static_cast<const __shim_type_info *>(wanted)->can_catch(thrown, object)) return false;
    exception->adjusted = object;
    return true;
}

} // namespace

extern "C" {

struct LandingPad {
    uint32_t index;        // of the call site, set by the compiled code
    const uint8_t *tables; // of the function, set by the compiled code
    uint32_t selector;     // which catch is meant; 0: none
} __wasm_lpad_context;

int _Unwind_CallPersonality(void *pointer) {
    auto *exception = static_cast<Exception *>(pointer);
    LandingPad &pad = __wasm_lpad_context;
    pad.selector = 0;
    const uint8_t *at = pad.tables;
    if (!at) return 0;
    at++; // no base of landing pads
    const uint8_t type_encoding = *at++;
    const uint8_t *types = nullptr;
    if (type_encoding != 0xff) {
        const uint32_t offset = uleb(at);
        types = at + offset;
    }
    at++; // call sites are in ULEB128
    const uint32_t length = uleb(at);
    const uint8_t *actions = at + length, *action = nullptr;
    while (at < actions) {
        const uint32_t site = uleb(at), first = uleb(at);
        if (site == pad.index) {
            action = first ? actions + first - 1 : nullptr;
            break;
        }
    }
    while (action) {
        const int32_t filter = sleb(action);
        const uint8_t *here = action;
        const int32_t next = sleb(action);
        if (filter > 0) {
            auto *wanted = reinterpret_cast<std::type_info *const *>(types)[-filter];
            if (catches(wanted, exception)) {
                pad.selector = static_cast<uint32_t>(filter);
                break;
            }
        }
        action = next ? here + next : nullptr;
    }
    return 0;
}

void *__cxa_allocate_exception(size_t size) noexcept {
    auto *exception = static_cast<Exception *>(calloc(1, sizeof(Exception) + size));
    if (!exception) std::terminate();
    return exception + 1;
}

void __cxa_free_exception(void *object) noexcept { free(header(object)); }

[[noreturn]] void __cxa_throw(void *object, std::type_info *type, void *(*destroy)(void *)) {
    Exception *exception = header(object);
    exception->type = type;
    exception->destroy = destroy;
    uncaught++;
    __builtin_wasm_throw(0, exception);
}

void *__cxa_get_exception_ptr(void *pointer) noexcept { return static_cast<Exception *>(pointer)->adjusted; }

void *__cxa_begin_catch(void *pointer) noexcept {
    auto *exception = static_cast<Exception *>(pointer);
    if (exception->handlers++ == 0) {
        exception->outer = caught;
        caught = exception;
    }
    exception->thrown_again = false;
    uncaught--;
    return exception->adjusted;
}

void __cxa_end_catch() {
    Exception *exception = caught;
    if (!exception || --exception->handlers) return;
    caught = exception->outer;
    if (exception->thrown_again) return;
    if (exception->destroy) exception->destroy(exception + 1);
    free(exception);
}

[[noreturn]] void __cxa_rethrow() {
    if (!caught) std::terminate();
    caught->thrown_again = true;
    uncaught++;
    __builtin_wasm_throw(0, caught);
}

unsigned __cxa_uncaught_exceptions() noexcept { return uncaught; }
bool __cxa_uncaught_exception() noexcept { return uncaught > 0; }

// There is no std::exception_ptr: nothing can be held beyond its handlers.
void __cxa_increment_exception_refcount(void *) noexcept {}
void __cxa_decrement_exception_refcount(void *) noexcept {}
void *__cxa_current_primary_exception() noexcept { return nullptr; }
void __cxa_rethrow_primary_exception(void *) { std::terminate(); }

std::type_info *__cxa_current_exception_type() noexcept { return caught ? caught->type : nullptr; }

} // extern "C"
