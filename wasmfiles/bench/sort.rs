//! Quicksort over 2,048 u32 and heap sort over 1,024 u64: data-dependent branches and swaps. n rounds with new numbers.
mod common;

use common::{Numbers, mix};

#[unsafe(no_mangle)]
pub extern "C" fn run(n: i32) -> i64 {
    let mut numbers = Numbers::new(2);
    let (mut quick, mut heap) = (vec![0_u32; 2048], vec![0_u64; 1024]);
    let mut sum = 0;
    for _ in 0..n {
        quick.fill_with(|| numbers.next() as u32);
        heap.fill_with(|| numbers.next() >> 20);
        quick_sort(&mut quick);
        heap_sort(&mut heap);
        sum = quick.iter().step_by(64).fold(sum, |sum, &x| mix(sum, x.into()));
        sum = heap.iter().step_by(64).fold(sum, |sum, &x| mix(sum, x));
    }
    sum as i64
}

fn quick_sort<T: Copy + Ord>(items: &mut [T]) {
    let mut rest = items;
    while rest.len() > 16 {
        let middle = partition(rest);
        let (low, high) = rest.split_at_mut(middle);
        // The shorter part by a call, the longer one here, so that the calls stay few.
        let (short, long) = if low.len() < high.len() { (low, high) } else { (high, low) };
        quick_sort(short);
        rest = long;
    }
    insertion_sort(rest);
}

/// Hoare's partition about the median of three; neither side is empty.
fn partition<T: Copy + Ord>(items: &mut [T]) -> usize {
    let last = items.len() - 1;
    let (a, b, c) = (items[0], items[last / 2], items[last]);
    let pivot = a.min(b).max(a.max(b).min(c));
    let (mut low, mut high) = (0, last);
    loop {
        while items[low] < pivot {
            low += 1;
        }
        while items[high] > pivot {
            high -= 1;
        }
        if low >= high {
            return low.max(1);
        }
        items.swap(low, high);
        low += 1;
        high -= 1;
    }
}

fn insertion_sort<T: Copy + Ord>(items: &mut [T]) {
    for end in 1..items.len() {
        let item = items[end];
        let mut place = end;
        while place > 0 && items[place - 1] > item {
            items[place] = items[place - 1];
            place -= 1;
        }
        items[place] = item;
    }
}

fn heap_sort<T: Copy + Ord>(items: &mut [T]) {
    for root in (0..items.len() / 2).rev() {
        sift_down(items, root);
    }
    for end in (1..items.len()).rev() {
        items.swap(0, end);
        sift_down(&mut items[..end], 0);
    }
}

fn sift_down<T: Copy + Ord>(heap: &mut [T], mut root: usize) {
    loop {
        let mut child = 2 * root + 1;
        if child >= heap.len() {
            return;
        }
        if child + 1 < heap.len() && heap[child] < heap[child + 1] {
            child += 1;
        }
        if heap[root] >= heap[child] {
            return;
        }
        heap.swap(root, child);
        root = child;
    }
}
