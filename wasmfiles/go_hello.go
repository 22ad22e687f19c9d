// Exercises the Go runtime on WASI preview 1: goroutines, channels, maps, fmt,
// select, a timer, the collector and a recovered panic. Every line it prints is
// deterministic. Exits with 4 when the first argument is "fail".
package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"
)

type job struct{ id, n int }

func square(jobs <-chan job, out chan<- job, wg *sync.WaitGroup) {
	defer wg.Done()
	for j := range jobs {
		runtime.Gosched()
		out <- job{j.id, j.n * j.n}
	}
}

func divide(a, b int) (q int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("recovered: %v", r)
		}
	}()
	return a / b, nil
}

func main() {
	fmt.Println("hello from go on", runtime.GOOS+"/"+runtime.GOARCH)
	fmt.Printf("args: %q\n", os.Args[1:])
	if greeting, ok := os.LookupEnv("GREETING"); ok {
		fmt.Println("GREETING:", greeting)
	} else {
		fmt.Println("GREETING: (unset)")
	}

	jobs, out := make(chan job), make(chan job, 4)
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go square(jobs, out, &wg)
	}
	go func() {
		for i := range 20 {
			jobs <- job{i, i + 1}
		}
		close(jobs)
		wg.Wait()
		close(out)
	}()
	squares := map[int]int{}
	for j := range out {
		squares[j.id] = j.n
	}
	sum := 0
	for _, n := range squares {
		sum += n
	}
	fmt.Println("squares:", len(squares), "sum:", sum, "last:", squares[19])

	counts := map[string]int{}
	for _, word := range []string{"the", "quick", "fox", "and", "the", "slow", "fox", "and", "the", "end"} {
		counts[word]++
	}
	words := make([]string, 0, len(counts))
	for word := range counts {
		words = append(words, word)
	}
	slices.Sort(words)
	for _, word := range words {
		fmt.Printf("%-6s%d\n", word, counts[word])
	}
	fmt.Println(counts)
	fmt.Printf("%v %+v %.4f %x %08b %t\n", []int{1, 2}, job{3, 4}, 1.0/3, "wasm", 37, true)

	start := time.Now()
	time.Sleep(time.Millisecond)
	fmt.Println("slept at least 1ms:", time.Since(start) >= time.Millisecond)
	select {
	case <-time.After(time.Millisecond):
		fmt.Println("timer fired")
	case <-make(chan int):
		fmt.Println("impossible")
	}

	for range 50 {
		_ = make([]byte, 1<<16)
	}
	runtime.GC()
	fmt.Println("collected")

	_, err := divide(1, 0)
	fmt.Println(err)

	if len(os.Args) > 1 && os.Args[1] == "fail" {
		fmt.Fprintln(os.Stderr, "failing as asked")
		os.Exit(4)
	}
}
