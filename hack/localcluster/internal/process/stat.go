package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

type stat struct {
	start uint64
	dead  bool
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, fmt.Errorf("looking at process %d: %w", pid, err)
	}
	return parseStat(string(b))
}

// parseStat reads state (field 3) and start time (field 22) of /proc/PID/stat. The
// second field is the program's name in parentheses and may hold anything.
func parseStat(line string) (stat, error) {
	end := strings.LastIndexByte(line, ')')
	fields := strings.Fields(line[end+1:])
	if end < 0 || len(fields) < 20 {
		return stat{}, fmt.Errorf("reading process state %q: too few fields", line)
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("reading process state %q: %w", line, err)
	}
	return stat{start: start, dead: fields[0] == "Z" || fields[0] == "X"}, nil
}
