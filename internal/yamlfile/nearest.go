package yamlfile

import "strings"

// nearestMax bounds the length of words that are compared: longer ones are not slips of the finger.
const nearestMax = 64

// Nearest gives the candidate a person most probably meant by word, or "" when none is close.
// Close means at most a third of the letters differ (insertions, deletions, changes and swaps of neighbours), or one
// is the beginning of the other.
func Nearest(word string, candidates []string) string {
	lower := strings.ToLower(word)
	if lower == "" || len(lower) > nearestMax {
		return ""
	}
	best, bestCost := "", len(lower)/3+1
	for _, c := range candidates {
		if len(c) > nearestMax {
			continue
		}
		cost := editDistance(lower, strings.ToLower(c))
		if cost < bestCost {
			best, bestCost = c, cost
		}
	}
	if best != "" || len(lower) < 3 {
		return best
	}
	for _, c := range candidates {
		if low := strings.ToLower(c); len(low) >= 3 && (strings.HasPrefix(low, lower) || strings.HasPrefix(lower, low)) {
			return c
		}
	}
	return ""
}

// editDistance is the optimal string alignment distance (Damerau 1964, each substring changed at most once).
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, now := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		now[0] = i
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(y)]
}
