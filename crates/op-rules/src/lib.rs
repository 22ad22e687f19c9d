//! The columns of the core's tables of instructions, which stand here once. A macro that reads a table needs a pattern with
//! a name for every column; [`op_rules!`] writes it. A macro of macro_rules cannot: the names that it wrote would be of its
//! own scope, and those in the body another's.

use std::str::FromStr;

use proc_macro::{Delimiter, Group, Ident, Punct, Spacing, Span, TokenStream, TokenTree};

/// Rows of `for_each_op!`.
const SCALAR: &str = "
    unary { $($unary:ident $unary_name:literal $unary_fn:ident;)* }
    binary { $($binary:ident $binary_wide:ident $binary_name:literal $binary_fn:ident;)* }
    int_binary {
        $(
            $int_binary:ident $int_binary_imm:ident $int_binary_wide:ident $int_binary_name:literal
            $int_binary_fn:ident;
        )*
    }
    int_compare {
        $(
            $int_compare:ident $int_compare_imm:ident $int_compare_br:ident $int_compare_br_imm:ident
            $int_compare_not:ident $int_compare_not_imm:ident $int_compare_name:literal $int_compare_fn:ident;
        )*
    }
    float_compare {
        $(
            $float_compare:ident $float_compare_br:ident $float_compare_not:ident $float_compare_name:literal
            $float_compare_fn:ident;
        )*
    }
    try_unary { $($try_unary:ident $try_unary_name:literal $try_unary_fn:ident;)* }
    try_int_binary {
        $($try_int_binary:ident $try_int_binary_imm:ident $try_int_binary_name:literal $try_int_binary_fn:ident;)*
    }
    load {
        $(
            $load:ident $load_far:ident $load_plus:ident $load_at:ident $load_name:literal $load_mem:ident
            $load_ext:ident $load_val:ident;
        )*
    }
    store {
        $(
            $store:ident $store_far:ident $store_imm:ident $store_plus:ident $store_at:ident $store_name:literal
            $store_mem:ident;
        )*
    }
    other { $($other:ident $other_name:literal;)* }
";

/// Rows of `for_each_vector_op!`.
const VECTOR: &str = "
    vector_unary {
        $($vector_unary:ident $vector_unary_name:literal $vector_unary_code:literal $vector_unary_fn:ident;)*
    }
    vector_binary {
        $($vector_binary:ident $vector_binary_name:literal $vector_binary_code:literal $vector_binary_fn:ident;)*
    }
    vector_ternary {
        $($vector_ternary:ident $vector_ternary_name:literal $vector_ternary_code:literal $vector_ternary_fn:ident;)*
    }
    vector_shift {
        $($vector_shift:ident $vector_shift_name:literal $vector_shift_code:literal $vector_shift_fn:ident;)*
    }
    vector_test { $($vector_test:ident $vector_test_name:literal $vector_test_code:literal $vector_test_fn:ident;)* }
    vector_splat {
        $(
            $vector_splat:ident $vector_splat_name:literal $vector_splat_code:literal $vector_splat_fn:ident
            $vector_splat_ty:ident;
        )*
    }
    vector_extract {
        $($vector_extract:ident $vector_extract_name:literal $vector_extract_code:literal $vector_extract_fn:ident;)*
    }
    vector_replace {
        $(
            $vector_replace:ident $vector_replace_name:literal $vector_replace_code:literal
            $vector_replace_fn:ident $vector_replace_ty:ident;
        )*
    }
    vector_load {
        $(
            $vector_load:ident $vector_load_name:literal $vector_load_code:literal $vector_load_fn:ident
            $vector_load_bytes:literal;
        )*
    }
    vector_load_lane {
        $(
            $vector_load_lane:ident $vector_load_lane_name:literal $vector_load_lane_code:literal
            $vector_load_lane_fn:ident $vector_load_lane_bytes:literal;
        )*
    }
    vector_store_lane {
        $(
            $vector_store_lane:ident $vector_store_lane_name:literal $vector_store_lane_code:literal
            $vector_store_lane_fn:ident $vector_store_lane_bytes:literal;
        )*
    }
    vector_other { $($vector_other:ident $vector_other_name:literal $vector_other_code:literal;)* }
";

/// Rows that `for_each_inst!` appends to those of `for_each_op!`.
const FUSED: &str = "
    fused { $($fused:ident $fused_first:ident $fused_second:ident $fused_fn1:ident $fused_fn2:ident;)* }
    fused_right {
        $(
            $fused_right:ident $fused_right_first:ident $fused_right_second:ident $fused_right_fn1:ident
            $fused_right_fn2:ident;
        )*
    }
    fused_imm {
        $($fused_imm:ident $fused_imm_first:ident $fused_imm_second:ident $fused_imm_fn1:ident $fused_imm_fn2:ident;)*
    }
    fused_by_imm {
        $(
            $fused_by_imm:ident $fused_by_imm_first:ident $fused_by_imm_second:ident $fused_by_imm_fn1:ident
            $fused_by_imm_fn2:ident;
        )*
    }
    fused_imms {
        $(
            $fused_imms:ident $fused_imms_first:ident $fused_imms_second:ident $fused_imms_fn1:ident
            $fused_imms_fn2:ident;
        )*
    }
    load_then {
        $(
            $load_then:ident $load_then_load:ident $load_then_second:ident $load_then_mem:ident
            $load_then_ext:ident $load_then_val:ident $load_then_fn:ident;
        )*
    }
    load_before {
        $(
            $load_before:ident $load_before_load:ident $load_before_second:ident $load_before_mem:ident
            $load_before_ext:ident $load_before_val:ident $load_before_fn:ident;
        )*
    }
    load_plus_then {
        $(
            $load_plus_then:ident $load_plus_then_load:ident $load_plus_then_second:ident $load_plus_then_mem:ident
            $load_plus_then_ext:ident $load_plus_then_val:ident $load_plus_then_fn:ident;
        )*
    }
    then_store {
        $(
            $then_store:ident $then_store_first:ident $then_store_store:ident $then_store_fn:ident
            $then_store_mem:ident;
        )*
    }
    step {
        $($step:ident $step_imm:ident $step_br:ident $step_br_imm:ident $step_add:ident $step_fn1:ident $step_fn2:ident;)*
    }
";

/// `op_rules! { name(scalar fused) { body } }` defines the macro `name`, whose one rule reads the rows of these tables and
/// writes the body. In the body the columns have the names that stand in this crate, as `$unary` and `$unary_name`. Tables
/// are `scalar`, `vector` and `fused`, in the order in which they are passed.
///
/// # Panics
/// (A compile error.) When it is not written so.
#[proc_macro]
pub fn op_rules(input: TokenStream) -> TokenStream {
    let mut input = input.into_iter();
    let Some(TokenTree::Ident(name)) = input.next() else { panic!("expected the macro's name") };
    let tables = group(input.next(), Delimiter::Parenthesis, "the tables, in parentheses");
    let body = group(input.next(), Delimiter::Brace, "the body, in braces");
    assert!(input.next().is_none(), "expected nothing after the body");

    let columns: String = tables.into_iter().map(|table| columns(&table.to_string())).collect();
    let pattern = TokenStream::from_str(&columns).expect("the columns are tokens");
    let rule = [
        TokenTree::Group(Group::new(Delimiter::Parenthesis, pattern)),
        Punct::new('=', Spacing::Joint).into(),
        Punct::new('>', Spacing::Alone).into(),
        TokenTree::Group(Group::new(Delimiter::Brace, body)),
    ];
    let definition = [
        TokenTree::Ident(Ident::new("macro_rules", Span::call_site())),
        Punct::new('!', Spacing::Alone).into(),
        name.into(),
        TokenTree::Group(Group::new(Delimiter::Brace, rule.into_iter().collect())),
    ];
    definition.into_iter().collect()
}

fn group(token: Option<TokenTree>, delimiter: Delimiter, what: &str) -> TokenStream {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => group.stream(),
        _ => panic!("expected {what}"),
    }
}

fn columns(table: &str) -> &'static str {
    match table {
        "scalar" => SCALAR,
        "vector" => VECTOR,
        "fused" => FUSED,
        other => panic!("there is no table {other}: scalar, vector and fused are"),
    }
}
