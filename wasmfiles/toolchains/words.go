// words [ROUNDS [fail]]: counts the words of standard input, computes for ROUNDS rounds, then fails if told to.
// It does without fmt, which would make the file half as large again.
package main

import (
	"io"
	"os"
	"strconv"
	"strings"
)

func compute(x, rounds uint64) uint64 {
	for ; rounds > 0; rounds-- {
		x = (x^x>>29)*6364136223846793005 + 1442695040888963407
	}
	return x >> 33
}

var table = []int{1, 2, 3}

//go:noinline
func element(index int) int {
	return table[index]
}

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	words := uint64(len(strings.Fields(string(text))))
	os.Stdout.WriteString(strconv.FormatUint(words, 10) + " words\n")
	rounds := uint64(0)
	if len(os.Args) > 1 {
		if rounds, err = strconv.ParseUint(os.Args[1], 10, 64); err != nil {
			panic(err)
		}
	}
	result := strconv.FormatUint(compute(words, rounds), 10)
	os.Stdout.WriteString(strconv.FormatUint(rounds, 10) + " rounds: " + result + "\n")
	if len(os.Args) > 2 && os.Args[2] == "fail" {
		os.Stdout.WriteString(strconv.Itoa(element(7)) + "\n")
	}
}
