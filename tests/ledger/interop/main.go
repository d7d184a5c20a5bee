// Verifies a log of the gateway with Go's own implementation of signed notes and transparency logs.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type testCase struct {
	Vkey        string    `json:"vkey"`
	Old         string    `json:"old"`
	New         string    `json:"new"`
	Entries     string    `json:"entries"`
	Proofs      []string  `json:"proofs"`
	Consistency []string  `json:"consistency"`
	Tiles       published `json:"tiles"`
}

// published holds tiles by their C2SP path, which lacks the height that this package writes into its own.
type published map[string][]byte

func (p published) Height() int { return 8 }

func (p published) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range tiles {
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		content, ok := p[path]
		if !ok {
			return nil, fmt.Errorf("%s is not published", path)
		}
		out = append(out, content)
	}
	return out, nil
}

func (p published) SaveTiles([]tlog.Tile, [][]byte) {}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func hash(text string) tlog.Hash {
	raw, err := base64.StdEncoding.DecodeString(text)
	must(err)
	if len(raw) != tlog.HashSize {
		log.Fatal("a hash has the wrong size")
	}
	return tlog.Hash(raw)
}

func hashes(texts []string) []tlog.Hash {
	var out []tlog.Hash
	for _, text := range texts {
		out = append(out, hash(text))
	}
	return out
}

func checkpoint(vkey, signed string) (int64, tlog.Hash) {
	verifier, err := note.NewVerifier(vkey)
	must(err)
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	must(err)
	lines := strings.Split(opened.Text, "\n")
	if lines[0] != verifier.Name() || len(lines) != 4 {
		log.Fatal("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	return size, hash(lines[2])
}

// checkProof checks a C2SP tlog-proof by itself: the checkpoint in it, and that the leaf stands at its index.
func checkProof(vkey, text string, leaf tlog.Hash) int64 {
	head, signed, found := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		log.Fatal("not a tlog-proof")
	}
	index, err := strconv.ParseInt(lines[1][len("index "):], 10, 64)
	must(err)
	size, root := checkpoint(vkey, signed)
	must(tlog.CheckRecord(tlog.RecordProof(hashes(lines[2:])), size, root, index, leaf))
	return index
}

func main() {
	var c testCase
	must(json.NewDecoder(os.Stdin).Decode(&c))
	oldSize, oldRoot := checkpoint(c.Vkey, c.Old)
	size, root := checkpoint(c.Vkey, c.New)
	must(tlog.CheckTree(tlog.TreeProof(hashes(c.Consistency)), size, root, oldSize, oldRoot))
	tiles := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, c.Tiles)
	extends, err := tlog.ProveTree(size, oldSize, tiles)
	must(err)
	must(tlog.CheckTree(extends, size, root, oldSize, oldRoot))
	entries, err := base64.StdEncoding.DecodeString(c.Entries)
	must(err)
	var index int64
	for ; len(entries) > 0; index++ {
		end := 2 + int(binary.BigEndian.Uint16(entries))
		leaf := tlog.RecordHash(entries[2:end])
		if checkProof(c.Vkey, c.Proofs[index], leaf) != index {
			log.Fatal("a proof is of another entry")
		}
		stands, err := tlog.ProveRecord(size, index, tiles)
		must(err)
		must(tlog.CheckRecord(stands, size, root, index, leaf))
		entries = entries[end:]
	}
	if index != size {
		log.Fatal("entries are missing")
	}
	fmt.Printf("%d entries, %d proofs, 1 consistency, %d tiles: ok\n", index, len(c.Proofs), len(c.Tiles))
}
