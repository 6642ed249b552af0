// Command benchcheck measures the signature check beside its peers, all in one
// run: xmlsec1's library in process (C, key loaded), goxmldsig's canonicalizer
// on etree with crypto/rsa, and the floor (SHA-256 of all the bytes and one
// RSA-2048 verification). It takes turns between them so that a machine whose
// speed drifts does so for all, compares medians, and exits with 1 when a
// target is missed.
//
//	make bench-check
package main

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/piano-roc/rpn/internal/igc"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/soap"
	"github.com/piano-roc/rpn/internal/xmlsig"
	"github.com/piano-roc/rpn/tlsconf/trust"
)

// A subject is one message and what checks it.
type subject struct {
	name    string
	message roc.Content
	sign    igc.Pair
	dir     string
}

// The targets; 0: none at that size. Lower is better for the floor, higher for
// the peers.
var targets = []struct {
	size                int
	base64              bool
	xmlsec, tree, floor float64
}{
	{size: 5_000, xmlsec: 10, tree: 10, floor: 1.5},
	{size: 20_000, xmlsec: 10, tree: 25, floor: 2},
	{size: 200_000, xmlsec: 10, tree: 40},
	{size: 200_000, base64: true},
	{size: 2_000_000, base64: true},
}

func main() {
	rounds := flag.Int("rounds", 7, "rounds, each measuring everybody in turn")
	slice := flag.Duration("slice", 300*time.Millisecond, "CPU time of one measure")
	loop := flag.String("xmlsec", "", "the built xmlsec_loop")
	out := flag.String("out", "", "write the table to that file, too")
	flag.Parse()
	if *loop == "" {
		fmt.Fprintln(os.Stderr, "benchcheck: -xmlsec is needed; use make bench-check")
		os.Exit(2)
	}
	runtime.GOMAXPROCS(1)
	var b bytes.Buffer
	ok := measureAll(&b, *rounds, *slice, *loop)
	os.Stdout.Write(b.Bytes())
	if *out != "" {
		head := fmt.Sprintf("# The signature check beside its peers\n\n`make bench-check`, %s, %s, %s. CPU microseconds per message, one thread, caches warm,\nmedians of %d interleaved rounds. Trust the ratios, not the figures.\n\n", time.Now().Format(time.DateOnly), cpuName(), runtime.Version(), *rounds)
		if err := os.WriteFile(*out, append([]byte(head), b.Bytes()...), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	if !ok {
		os.Exit(1)
	}
}

func measureAll(w io.Writer, rounds int, slice time.Duration, loop string) bool {
	pki := igc.New(igc.Options{})
	_, sign := pki.Establishment("1010003812", "HOPITAL FICTIF")
	dir, err := os.MkdirTemp("", "benchcheck")
	fatal(err)
	defer os.RemoveAll(dir)
	fmt.Fprintln(w, "| message | this check | xmlsec1 | goxmldsig + etree | floor | xmlsec1 / ours | tree / ours | ours / floor | allocations | ns/byte |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|")
	ok, verdicts := true, []string{}
	for i, t := range targets {
		s := newSubject(t.size, t.base64, sign, filepath.Join(dir, strconv.Itoa(i)))
		ours, xmlsec, tree, floor := s.measure(rounds, slice, loop)
		allocs := s.allocations()
		fmt.Fprintf(w, "| %s | %.1f | %.0f | %.0f | %.1f | %.1f | %.1f | %.2f | %.0f | %.2f |\n", s.name, ours/1e3, xmlsec/1e3, tree/1e3, floor/1e3,
			xmlsec/ours, tree/ours, ours/floor, allocs, ours/float64(s.message.Len()))
		held := allocs <= 3
		held = held && (t.xmlsec == 0 || xmlsec/ours >= t.xmlsec)
		held = held && (t.tree == 0 || tree/ours >= t.tree)
		held = held && (t.floor == 0 || ours/floor <= t.floor)
		verdict := "ok"
		if !held {
			verdict, ok = "MISSED", false
		}
		verdicts = append(verdicts, fmt.Sprintf("%s: xmlsec1 %.1fx, tree %.1fx, floor %.2fx, %.0f allocations: %s", s.name, xmlsec/ours, tree/ours, ours/floor, allocs, verdict))
	}
	fmt.Fprintln(w, "\n"+strings.Join(verdicts, "; "))
	return ok
}

func newSubject(size int, base64 bool, sign igc.Pair, dir string) *subject {
	fatal(os.Mkdir(dir, 0o700))
	kind := "dense"
	if base64 {
		kind = "base64"
	}
	s := &subject{name: fmt.Sprintf("%d kB %s", size/1000, kind), sign: sign, dir: dir}
	m, err := xmlsig.Sign(roc.NewContent(text(size, base64)), xmlsig.Key{Certificate: sign.Cert, Chain: sign.Chain, Signer: sign.Key}, xmlsig.SignOptions{Life: time.Hour})
	fatal(err)
	s.message = m
	fatal(os.WriteFile(filepath.Join(dir, "m.xml"), m.Bytes(), 0o600))
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sign.Cert.Raw})
	fatal(os.WriteFile(filepath.Join(dir, "cert.pem"), cert, 0o600))
	return s
}

// text is a message of about size bytes before it is signed.
func text(size int, base64 bool) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Header/><soap:Body><clc:calculer xmlns:clc="urn:roc:clc:2.0.0">`)
	const signature = 3_900 // what Sign adds
	if base64 {
		b.WriteString("<piece>")
		for b.Len() < size-signature {
			b.WriteString("QmFzZTY0IGZpY3RpZiwgc2FucyByaWVuIGRlZGFucy4gQmFzZTY0IGZpY3RpZi4u\n")
		}
		b.WriteString("</piece>")
	} else {
		b.WriteString("<prestations>")
		for i := 1; b.Len() < size-signature; i++ {
			fmt.Fprintf(&b, "\n  <prestation><rang>%d</rang><code>FJ</code><date>2026-11-18</date><quantite>3</quantite><montant_total>60.00</montant_total></prestation>", i)
		}
		b.WriteString("</prestations>")
	}
	b.WriteString(`</clc:calculer></soap:Body></soap:Envelope>`)
	return b.Bytes()
}

// measure returns the median CPU nanoseconds per message of each.
func (s *subject) measure(rounds int, slice time.Duration, loop string) (ours, xmlsec, tree, floor float64) {
	var all [4][]float64
	check, treeCheck, floorCheck := s.ours(), s.tree(), s.floor()
	for range rounds {
		all[0] = append(all[0], perCall(check, slice))
		all[1] = append(all[1], s.xmlsec(loop, slice))
		all[2] = append(all[2], perCall(treeCheck, slice))
		all[3] = append(all[3], perCall(floorCheck, slice))
	}
	return median(all[0]), median(all[1]), median(all[2]), median(all[3])
}

// ours is the check of the request path with every security check on.
func (s *subject) ours() func() bool {
	trust := xmlsig.NewTrust(trust.NewTrust([]*x509.Certificate{s.sign.Chain[len(s.sign.Chain)-1]}, s.sign.Chain).Signature(nil))
	v := xmlsig.NewVerifier(xmlsig.Options{Trust: func() *xmlsig.Trust { return trust }})
	return func() bool {
		env, err := soap.Read(s.message, soap.DefaultLimits)
		if err != nil {
			return false
		}
		_, err = v.Check(env, xmlsig.Policy{}, xmlsig.Expect{Structure: "1010003812"}, time.Now())
		env.Release()
		return err == nil
	}
}

func (s *subject) allocations() float64 {
	check, left := s.ours(), 100
	check()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range left {
		check()
	}
	runtime.ReadMemStats(&after)
	return float64((after.Mallocs - before.Mallocs) / uint64(left))
}

// tree does with etree, goxmldsig's canonicalizer and crypto/rsa the part of
// the check that needs the canonical form; without the security checks.
func (s *subject) tree() func() bool {
	key := s.sign.Cert.PublicKey.(*rsa.PublicKey)
	canon := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	value := signatureValue(s.message)
	return func() bool {
		doc := etree.NewDocument()
		if doc.ReadFromBytes(s.message.Bytes()) != nil {
			return false
		}
		var sum [32]byte
		for _, path := range []string{"//Timestamp", "//Body", "//SignedInfo"} {
			el := doc.FindElement(path)
			if el == nil {
				return false
			}
			h := sha256.New()
			canonicalizeInto(h, canon, el)
			h.Sum(sum[:0])
		}
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], value) == nil
	}
}

// canonicalizeInto hashes the canonical form of an element. goxmldsig refuses
// more than 1 000 elements at once: of such a one it is given the children one
// by one, which is the same work.
func canonicalizeInto(w io.Writer, canon dsig.Canonicalizer, el *etree.Element) {
	detached, err := dsigContext(el)
	if err == nil {
		b, err := canon.Canonicalize(detached)
		if err == nil {
			w.Write(b)
			return
		}
	}
	for _, child := range el.ChildElements() {
		canonicalizeInto(w, canon, child)
	}
}

func (s *subject) floor() func() bool {
	sum := sha256.Sum256(s.message.Bytes())
	value, err := s.sign.Key.Sign(nil, sum[:], crypto.SHA256)
	fatal(err)
	key := s.sign.Cert.PublicKey.(*rsa.PublicKey)
	return func() bool {
		sum := sha256.Sum256(s.message.Bytes())
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], value) == nil
	}
}

func (s *subject) xmlsec(loop string, slice time.Duration) float64 {
	out, err := exec.Command(loop, filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "m.xml"), fmt.Sprint(slice.Seconds())).CombinedOutput()
	if err != nil {
		fatal(fmt.Errorf("xmlsec_loop: %w: %s", err, out))
	}
	ns, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	fatal(err)
	return ns
}

// perCall returns the CPU nanoseconds of one call.
func perCall(f func() bool, slice time.Duration) float64 {
	n, start := 0, cpu()
	for cpu()-start < slice {
		for range 8 {
			if !f() {
				fatal(fmt.Errorf("a check refused the message"))
			}
			n++
		}
	}
	return float64((cpu() - start).Nanoseconds()) / float64(n)
}

func cpu() time.Duration {
	var u syscall.Rusage
	fatal(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func cpuName() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t: "))
		}
	}
	return runtime.GOARCH
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchcheck:", err)
		os.Exit(2)
	}
}
