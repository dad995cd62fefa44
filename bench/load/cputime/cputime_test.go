package cputime

import (
	"os/exec"
	"testing"
	"time"
)

func TestStatIsReadWhateverTheCommandIsCalled(t *testing.T) {
	got, err := parse("7 (a b) c) S 3 7 7 0 -1 4194560 1 2 3 4 150 50 6 7 20 0 12 0 100 200 300")
	want := stat{parent: 3, own: 2 * time.Second, waited: 130 * time.Millisecond, started: 100}
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, line := range []string{"", "7 (a) S 1", "7 (a) S x 7 7 0 -1 4194560 1 2 3 4 150 50 6 7 20 0 12 0 100 200 300"} {
		if _, err := parse(line); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}

func TestMachineIsReadFromProc(t *testing.T) {
	got, err := parseBusy("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1\n")
	if err != nil || got != 2*time.Second {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parseBusy("intr 1 2 3"); err == nil {
		t.Error("another line was accepted")
	}
}

func TestAllDescendantsAreSummedAndNobodyElse(t *testing.T) {
	all := map[int]stat{
		1: {own: 1000}, 2: {parent: 1, own: 1, waited: 2}, 3: {parent: 2, own: 4}, 4: {parent: 3, waited: 8}, 5: {parent: 1, own: 16},
	}
	if got := sum(2, all); got != 15 {
		t.Errorf("%d, want 15", got)
	}
}

// busyShell spins in a child of the shell, which then ends and is waited for,
// and stays until its input ends.
const busyShell = `sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; echo done; read line`

func TestChildrenThatEndedCount(t *testing.T) {
	c := exec.CommandContext(t.Context(), "sh", "-c", "read go; "+busyShell)
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	m, err := Start(Process{Name: "shell", PID: c.Process.Pid})
	if err != nil {
		t.Fatal(err)
	}
	alone, err := Start(Self("test"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stdin.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	r, err := m.Read()
	if err != nil || r.Processes[0].Gone || r.Processes[0].CPU < 5*tick || r.Processes[0].CPU > r.Wall+5*tick {
		t.Errorf("%+v, %v; the child spun", r, err)
	}
	if _, err := stdin.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	spun := r.Processes[0].CPU
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if r, err = m.Read(); err != nil || !r.Processes[0].Gone {
		t.Errorf("%+v, %v; the process ended", r, err)
	}
	if r, err = alone.Read(); err != nil || r.Processes[0].CPU >= spun {
		t.Errorf("%+v, %v; only the child spun, for %v", r, err, spun)
	}
	if _, err := Start(Process{Name: "shell", PID: c.Process.Pid}); err == nil {
		t.Error("a process that ended was accepted")
	}
}

func TestOthersAreWhatNobodyNamed(t *testing.T) {
	r := Reading{Machine: 10, Processes: []Use{{CPU: 3}, {CPU: 4}}}
	if r.Others() != 3 {
		t.Error(r.Others())
	}
	if r.Machine = 5; r.Others() != 0 {
		t.Error(r.Others())
	}
}
