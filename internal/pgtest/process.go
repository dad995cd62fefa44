//go:build linux || darwin

package pgtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A process is what /proc tells everybody about one. Where it works is told
// only to its own user and to the mightier part of root.
type process struct {
	pid, parent int
	state       byte // as in proc(5): T is frozen, Z has ended
}

// look returns a process, if there is one.
func look(pid int) (process, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	// The name comes before, in brackets, and may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 2 {
		return process{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	return process{pid, parent, fields[0][0]}, err == nil
}

// processes returns those that run on data in a folder or below it: whoever
// was started with "-D" and such data, and all who descend from them.
func processes(dir string) (found []process) {
	links, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
	var others []process
	for _, link := range links {
		pid, err := strconv.Atoi(filepath.Base(link))
		if err != nil {
			continue
		}
		p, there := look(pid)
		switch {
		case !there:
		case startedOn(pid, dir):
			found = append(found, p)
		default:
			others = append(others, p)
		}
	}
	for i := 0; i < len(found); i++ {
		others = slices.DeleteFunc(others, func(p process) bool {
			child := p.parent == found[i].pid
			if child {
				found = append(found, p)
			}
			return child
		})
	}
	return found
}

func startedOn(pid int, dir string) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	args := strings.Split(string(text), "\x00")
	i := slices.Index(args, "-D")
	return i >= 0 && i+1 < len(args) && strings.HasPrefix(args[i+1], dir+"/")
}

// signal sends a signal to all processes of a folder and returns them.
func signal(dir string, s syscall.Signal) []process {
	found := processes(dir)
	for _, p := range found {
		syscall.Kill(p.pid, s) // one that has ended meanwhile is no error
	}
	return found
}

// freeze stops all processes of a folder and returns them. Nobody is missed:
// who is frozen makes no children.
func freeze(dir string) (frozen []process, err error) {
	err = await(func() bool {
		frozen = signal(dir, syscall.SIGSTOP)
		return !slices.ContainsFunc(frozen, func(p process) bool { return p.state != 'T' && p.state != 'Z' })
	})
	if err != nil {
		return nil, fmt.Errorf("freezing the processes of %s: %w", dir, err)
	}
	return frozen, nil
}

// kill ends all processes of a folder, without a chance to say a last word,
// and waits until they are gone.
func kill(dir string) error {
	if _, err := freeze(dir); err != nil {
		return err
	}
	killed := signal(dir, syscall.SIGKILL)
	err := await(func() bool {
		return !slices.ContainsFunc(killed, func(p process) bool {
			now, there := look(p.pid)
			return there && now.state != 'Z'
		})
	})
	if err != nil {
		return fmt.Errorf("killing the processes of %s: %w", dir, err)
	}
	return nil
}
