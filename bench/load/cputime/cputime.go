package cputime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc/PID/stat: USER_HZ is 100 on every architecture
// that Go runs on.
const tick = 10 * time.Millisecond

// A Process is a process that is counted.
type Process struct {
	Name  string // what reports call it
	PID   int
	Alone bool // without its children
}

// Self is this process, without the children it may have started to measure
// them.
func Self(name string) Process { return Process{Name: name, PID: os.Getpid(), Alone: true} }

func (p Process) spent() (time.Duration, error) {
	if !p.Alone {
		return tree(p.PID)
	}
	s, err := read(p.PID)
	return s.own, err
}

// A Meter counts the time of some processes and of the machine. Methods must
// not be called concurrently.
type Meter struct {
	processes []Process
	started   []uint64 // when each did, so that another with its number is not taken for it
	spent     []time.Duration
	busy      time.Duration
	since     time.Time
}

// A Reading is what was used since [Meter.Start].
type Reading struct {
	Processes []Use         // in the order given
	Machine   time.Duration // of all processors, by whomever
	Wall      time.Duration
}

// A Use is what one process and its children used, user and system time
// together. Time of children that ended counts too, once they were waited for,
// as PostgreSQL does with its backends.
type Use struct {
	Process
	CPU  time.Duration
	Gone bool // it ended before the reading, so that CPU is not known
}

// Start begins to count. It returns an error if a process is not there.
func Start(processes ...Process) (*Meter, error) {
	m := &Meter{processes: processes, since: time.Now()}
	for _, p := range processes {
		root, err := read(p.PID)
		if err != nil {
			return nil, fmt.Errorf("process %s: %w", p.Name, err)
		}
		spent, err := p.spent()
		if err != nil {
			return nil, fmt.Errorf("process %s: %w", p.Name, err)
		}
		m.started, m.spent = append(m.started, root.started), append(m.spent, spent)
	}
	var err error
	m.busy, err = busy()
	return m, err
}

// Read returns what was used since Start. A process that ended is no error.
func (m *Meter) Read() (Reading, error) {
	now, err := busy()
	if err != nil {
		return Reading{}, err
	}
	r := Reading{Machine: now - m.busy, Wall: time.Since(m.since)}
	for i, p := range m.processes {
		u := Use{Process: p}
		root, err := read(p.PID)
		if err == nil && root.started == m.started[i] {
			u.CPU, err = p.spent()
		}
		u.Gone = err != nil || root.started != m.started[i]
		if u.CPU -= m.spent[i]; u.Gone || u.CPU < 0 {
			u.CPU = 0
		}
		r.Processes = append(r.Processes, u)
	}
	return r, nil
}

// Others is what processes did that were not named.
func (r Reading) Others() time.Duration {
	others := r.Machine
	for _, u := range r.Processes {
		others -= u.CPU
	}
	return max(0, others)
}

// tree sums a process and everything below it. A child that ends while this
// reads would be missed, or counted twice: its parent's waited-for time tells,
// and all is read again.
func tree(pid int) (time.Duration, error) {
	for range 10 {
		before, err := read(pid)
		if err != nil {
			return 0, err
		}
		all, err := readAll()
		if err != nil {
			return 0, err
		}
		after, err := read(pid)
		if err != nil {
			return 0, err
		}
		if before.waited == after.waited {
			return sum(pid, all), nil
		}
	}
	return 0, errors.New("its children end too fast to be counted")
}

// sum adds up a process and its descendants. The kernel adds the time of a
// child that was waited for, and of what that one had waited for, to its
// parent's waited-for time.
func sum(pid int, all map[int]stat) time.Duration {
	children := make(map[int][]int)
	for id, s := range all {
		children[s.parent] = append(children[s.parent], id)
	}
	var total time.Duration
	for todo := []int{pid}; len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = append(todo[:len(todo)-1], children[id]...)
		total += all[id].own + all[id].waited
	}
	return total
}

// A stat is what /proc/PID/stat says about a process.
type stat struct {
	parent  int
	own     time.Duration // utime and stime, fields 14 and 15
	waited  time.Duration // cutime and cstime, fields 16 and 17
	started uint64        // field 22, in ticks since boot
}

func read(pid int) (stat, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	return parse(string(text))
}

// readAll reads every process. One that ends meanwhile is left out.
func readAll() (map[int]stat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := make(map[int]stat)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := read(pid); err == nil {
			all[pid] = s
		}
	}
	return all, nil
}

// parse reads the line. The second field, the command, is in parentheses and
// may hold spaces and parentheses.
func parse(line string) (stat, error) {
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) < 20 {
		return stat{}, errors.New("/proc/PID/stat has too few fields")
	}
	var s stat
	var err error
	number := func(field int) uint64 { // counted from 1, as proc(5) does
		n, e := strconv.ParseUint(fields[field-3], 10, 64)
		err = errors.Join(err, e)
		return n
	}
	s.parent = int(number(4))
	s.own = time.Duration(number(14)+number(15)) * tick
	s.waited = time.Duration(number(16)+number(17)) * tick
	s.started = number(22)
	return s, err
}

// busy is what all processors did so far: the first line of /proc/stat without
// idle and iowait.
func busy() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseBusy(string(text))
}

func parseBusy(text string) (time.Duration, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, errors.New("/proc/stat does not begin as it should")
	}
	var total time.Duration
	for i, field := range fields[1:9] { // guest time is in user time already
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		if i != 3 && i != 4 {
			total += time.Duration(n) * tick
		}
	}
	return total, nil
}
