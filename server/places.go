package server

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPlace bounds a name, in characters.
const maxPlace = 60

// places are names of networks.
type places map[netip.Prefix]string

// readPlaces reads a table of two columns, a network in CIDR form and the name
// of its place, without a header. Every line that is wrong is told.
func readPlaces(path string) (places, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--places: %w", err)
	}
	defer file.Close()
	table := csv.NewReader(file)
	table.FieldsPerRecord, table.ReuseRecord = 2, true
	found := make(places)
	var faults []error
	for {
		line, err := table.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("--places %s: %w", path, errors.Join(append(faults, err)...))
		}
		number, _ := table.FieldPos(0)
		network, err := netip.ParsePrefix(strings.TrimSpace(line[0]))
		name := strings.TrimSpace(line[1])
		switch {
		case err != nil || network != network.Masked():
			faults = append(faults, fmt.Errorf("line %d: %q is no network; give one like 192.0.2.0/24", number, line[0]))
		case found[network] != "":
			faults = append(faults, fmt.Errorf("line %d: %s is there twice", number, network))
		case name == "" || utf8.RuneCountInString(name) > maxPlace || !utf8.ValidString(name) ||
			strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }):
			faults = append(faults, fmt.Errorf("line %d: the place of %s is empty, longer than %d characters, or has some that are not shown", number, network, maxPlace))
		default:
			found[network] = strings.Clone(name)
		}
		if len(faults) >= 10 {
			break
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("--places %s: %w", path, err)
	}
	return found, nil
}

// of returns the place of the narrowest network that holds all of n.
func (p places) of(n netip.Prefix) string {
	for bits := n.Bits(); bits >= 0; bits-- {
		wider, err := n.Addr().Prefix(bits)
		if err != nil {
			return ""
		}
		if name := p[wider]; name != "" {
			return name
		}
	}
	return ""
}
