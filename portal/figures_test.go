package portal

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piano-roc/rpn/indicators/report"
	"github.com/piano-roc/rpn/indicators/store"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/journal"
	"github.com/piano-roc/rpn/portal/access"
)

var tags = regexp.MustCompile(`<details class="card">.*?</details>|<[^>]*>`)

// rowsOf are the rows of the tables of a page: the text of each cell.
func rowsOf(body string) (rows [][]string) {
	body = regexp.MustCompile(`(?s)<details class="card">.*?</details>`).ReplaceAllString(body, "")
	for _, tr := range regexp.MustCompile(`(?s)<tr>(.*?)</tr>`).FindAllStringSubmatch(body, -1) {
		var row []string
		for _, td := range regexp.MustCompile(`(?s)<t[hd][^>]*>(.*?)</t[hd]>`).FindAllStringSubmatch(tr[1], -1) {
			row = append(row, strings.TrimSpace(html.UnescapeString(tags.ReplaceAllString(td[1], ""))))
		}
		rows = append(rows, row)
	}
	return rows
}

func valueOf(t *testing.T, body, name string) string {
	t.Helper()
	for _, r := range rowsOf(body) {
		if len(r) > 1 && r[0] == spaces.Replace(name) {
			return r[1]
		}
	}
	t.Fatalf("the page has no row %q", name)
	return ""
}

// The figures of a page are those of the store for the same window, and those of
// a recount by hand; the file is the one that the command writes.
func TestThePagesShowTheFiguresOfTheExport(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	week := report.Week{Year: 2026, Number: 47}
	own := []roc.StructureID{"1" + ownEJ, "1" + ownEG}
	rows, err := c.store.Figures(t.Context(), store.Query{Grain: store.Day, From: week.Begin(), To: week.End(), Structures: own, By: report.Dimensions})
	if err != nil {
		t.Fatal(err)
	}
	sum := report.SumOf(rows)
	body := c.page("own", "/etablissement/1"+ownEJ+"/indicateurs?periode="+week.String())
	for _, card := range report.Cards() {
		if got, want := valueOf(t, body, card.Name), typeset(card.Format(sum)); got != want {
			t.Errorf("%s is %s on the page, and %s in the store", card.ID, got, want)
		}
	}
	all, answered := 0, 0
	for _, x := range c.records {
		if slices.Contains(own, x.From) && !x.RequestIn.Before(week.Begin()) && x.RequestIn.Before(week.End()) {
			all++
			if x.Outcome == roc.Answered {
				answered++
			}
		}
	}
	if got := valueOf(t, body, "Échanges"); all == 0 || got != fmt.Sprint(all) {
		t.Errorf("the page counts %s exchanges, by hand %d", got, all)
	}
	if got, want := valueOf(t, body, "Part de réponses utilisables"), strings.Replace(fmt.Sprintf("%.1f\u00a0%%", 100*float64(answered)/float64(all)), ".", ",", 1); got != want {
		t.Errorf("the page has %s answered, by hand %s", got, want)
	}
	names := func(n roc.NumeroAMC) string { a, _ := c.list.AMC(n); return a.Nom }
	for _, f := range report.Files() {
		var want bytes.Buffer
		if err := f.Write(t.Context(), &want, c.store, own, week, names); err != nil {
			t.Fatal(err)
		}
		w := c.get("own", fmt.Sprintf("/etablissement/1%s/fichiers/%s/%s", ownEJ, week, f))
		if w.Body.String() != want.String() || !strings.Contains(w.Header().Get("Content-Disposition"), f.Name(own[0], week)) {
			t.Errorf("the file %s is not the one of the command", f)
		}
	}
	// Of an insurer, with its availability.
	p := periods(noon)[2]
	rows, err = c.store.Figures(t.Context(), store.Query{Grain: store.Day, From: p.from, To: p.to, AMC: otherAMC, By: report.Dimensions})
	if err != nil {
		t.Fatal(err)
	}
	sum = report.SumOf(rows)
	if sum.Windows, err = c.store.Availability(t.Context(), otherAMC, p.from, p.to); err != nil {
		t.Fatal(err)
	}
	body = c.page("amc2", "/amc/"+otherAMC+"/indicateurs?periode=28j")
	for _, card := range report.Cards() {
		if got, want := valueOf(t, body, card.Name), typeset(card.Format(sum)); got != want {
			t.Errorf("%s of the insurer is %s on the page, and %s in the store", card.ID, got, want)
		}
	}
}

// The causes of the first page are a recount of the records by code and owner.
func TestTheCausesAreARecount(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	week := periods(noon)[1]
	want, all := map[string]int{}, 0
	for _, x := range c.records {
		if (x.From == "1"+ownEJ || x.From == "1"+ownEG) && !x.RequestIn.Before(week.from) {
			all++
			if x.Outcome != roc.Answered {
				want[x.Code()]++
			}
		}
	}
	got := map[string]string{}
	for _, r := range rowsOf(c.page("own", "/etablissement/1"+ownEJ)) {
		if len(r) == 6 && strings.HasPrefix(r[0], "RPN") {
			got[r[0][:6]] = r[1]
			m := report.MeaningOf(r[0][:6])
			if r[4] != strings.ReplaceAll(spaces.Replace(m.Remede), "`", "") || r[3] != ownerName(m.Responsable) {
				t.Errorf("%s: %v", r[0], r)
			}
		}
	}
	if len(got) != len(want) || all == 0 {
		t.Errorf("the page has %v, by hand %v", got, want)
	}
	for code, n := range want {
		if got[code] != fmt.Sprint(n) {
			t.Errorf("%s: %s on the page, %d by hand", code, got[code], n)
		}
	}
}

// The story of an exchange says whose turn it is, and its proof verifies.
func TestTheStoryAndTheProofOfAnExchange(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	x := c.one(func(x *roc.Record) bool { return x.From == "1"+ownEJ && x.Reason == roc.BadSignature })
	path := "/etablissement/1" + ownEJ + "/echange/" + string(x.ID)
	body := c.page("own", path)
	for _, say := range []string{x.Code(), x.Reason.Meaning().Libelle, ownerName(x.Responsable()), "heure de Paris", x.MessageID} {
		if !strings.Contains(html.UnescapeString(body), spaces.Replace(say)) {
			t.Errorf("the story does not say %q", say)
		}
	}
	w := c.get("own", path+"/preuve")
	key, err := journal.ParsePublicKey(strings.TrimSpace(readFile(t, c.dir, "journal.pub")))
	if err != nil {
		t.Fatal(err)
	}
	p, err := journal.VerifyProof(w.Body.Bytes(), keysOf(key))
	if err != nil || p.Entry.Exchange.ID != x.ID {
		t.Errorf("the proof does not verify: %v", err)
	}
	if moved := c.get("own", "/etablissement/1"+ownEJ+"/echanges?id="+strings.ToUpper(string(x.ID))); moved.Code != http.StatusSeeOther || !strings.HasSuffix(moved.Header().Get("Location"), "/echange/"+string(x.ID)) {
		t.Errorf("a search by id: %d, %s", moved.Code, moved.Header().Get("Location"))
	}
	found := c.page("own", "/etablissement/1"+ownEJ+"/echanges?du=2026-11-20&au=2026-11-26&issue=refused&code="+x.Code())
	want := 0
	from := time.Date(2026, 11, 20, 0, 0, 0, 0, store.Paris)
	for _, y := range c.records {
		if (y.From == "1"+ownEJ || y.From == "1"+ownEG) && y.Reason == x.Reason && !y.RequestIn.Before(from) {
			want++
		}
	}
	if n := strings.Count(found, "/echange/0"); n != want {
		t.Errorf("the search finds %d exchanges, by hand %d", n, want)
	}
}

// The weather is measured: an insurer that leaves every call unanswered is out
// since the first of them, on the page, in JSON and in the feed.
func TestTheWeatherSaysSinceWhen(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	var got struct {
		Organismes []struct{ Numero, Etat, Depuis string }
	}
	if err := json.Unmarshal(c.get("public", "/meteo.json").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	since := noon.Add(-30 * time.Minute).Truncate(store.Window).In(store.Paris)
	for _, o := range got.Organismes {
		if o.Numero == otherAMC && (o.Etat != "en panne" || o.Depuis != since.Format(time.RFC3339)) {
			t.Errorf("the insurer that is out: %+v, want since %s", o, since)
		}
		if o.Numero == ownAMC && o.Etat == "en panne" {
			t.Errorf("the other one: %+v", o)
		}
	}
	if body := c.page("public", "/meteo"); !strings.Contains(body, "en panne") || !strings.Contains(body, instant(since)) || !strings.Contains(body, "La règle") {
		t.Error("the page does not say who is out, since when, by which rule")
	}
	var feed struct {
		Entries []struct {
			Title   string `xml:"title"`
			Updated string `xml:"updated"`
		} `xml:"entry"`
	}
	w := c.get("public", "/meteo.atom")
	if err := xml.Unmarshal(w.Body.Bytes(), &feed); err != nil || len(feed.Entries) == 0 || feed.Entries[0].Updated != since.Format(time.RFC3339) {
		t.Errorf("the feed: %v, %+v", err, feed)
	}
}

// The feed names a state by the same id each time, whether its beginning is known
// or not, and says since when only where it is.
func TestTheFeedTellsOfAStateOnce(t *testing.T) {
	t.Parallel()
	sky := func(at time.Time) *access.Sky {
		return &access.Sky{At: at, AMCs: []access.Weather{
			{Numero: ownAMC, Nom: "Mutuelle & Verte", State: access.Disturbed},
			{Numero: otherAMC, Nom: "Mutuelle Bleue", State: access.Out, Since: noon.Add(-time.Hour)},
			{Numero: "0099000004", Nom: "Mutuelle Rouge", State: access.Closed, Until: noon.AddDate(0, 0, 3)},
			{Numero: "0099000005", Nom: "Mutuelle Calme", State: access.Calm},
		}}
	}
	type entry struct {
		ID      string `xml:"id"`
		Updated string `xml:"updated"`
		Summary string `xml:"summary"`
	}
	entries := func(at time.Time) (list []entry) {
		var feed struct {
			Entries []entry `xml:"entry"`
		}
		if err := xml.Unmarshal(atomOf(sky(at), ""), &feed); err != nil {
			t.Fatal(err)
		}
		return feed.Entries
	}
	first := entries(noon)
	if again := entries(noon.Add(20 * time.Second)); len(first) != 3 || !slices.Equal(first, again) {
		t.Errorf("20 s later the entries are others:\n%+v\n%+v", first, again)
	}
	for i, want := range []string{"Mutuelle & Verte, AMC 0099000002 : perturbé.", "en panne, depuis le 26/11/2026\u00a011:00.", "fermé, jusqu'au 29/11/2026\u00a012:00."} {
		if !strings.HasSuffix(first[i].Summary, want) {
			t.Errorf("entry %d: %q, want %q", i, first[i].Summary, want)
		}
	}
}

// An operator finds in the first pages: who is the noisiest, what waits, what ends
// in Bretagne.
func TestAnOperatorFindsWithoutSearching(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	body := html.UnescapeString(c.page("lecture", "/national"))
	for _, say := range []string{"Les plus bruyants", "Ce qui vous attend", "Déplacements à décider", "Organismes", "Ce qui a le plus changé", "Couples qui ont le plus changé"} {
		if !strings.Contains(body, say) {
			t.Errorf("the national situation does not say %q", say)
		}
	}
	lost := map[roc.StructureID]int{}
	today := store.Day.Begin(noon)
	for _, x := range c.records {
		if !x.RequestIn.Before(today) && x.Outcome != roc.Answered && x.Responsable() == roc.ByEtablissement {
			lost[x.From]++
		}
	}
	for _, r := range rowsOf(body) {
		if len(r) == 6 && lost["1"+roc.StructureID(r[1])] > 0 && r[3] != fmt.Sprint(lost["1"+roc.StructureID(r[1])]) {
			t.Errorf("the noisiest: %v, by hand %d", r, lost["1"+roc.StructureID(r[1])])
		}
	}
	ends := c.page("lecture", "/national/certificats?jours=30&region=Bretagne")
	if !strings.Contains(ends, "CN=sien.test") || !strings.Contains(ends, "CN=autre.test") || strings.Contains(ends, "CN=verte.test") {
		t.Error("the certificates of Bretagne that end within 30 days are not listed, or others are")
	}
	if one := c.page("own", "/etablissement/1"+ownEJ+"/certificats"); strings.Contains(one, "CN=autre.test") || !strings.Contains(one, "CN=sien.test") {
		t.Error("an establishment sees other certificates than its own")
	}
	if list := c.page("lecture", "/registre?q=sainte"); !strings.Contains(list, "CHU de Sainte-Fiction") || strings.Contains(list, "Clinique fictive 2") {
		t.Error("the search of the register does not find by name")
	}
}

// What of the journal cannot be read is told: by a search, and by the page of an
// exchange that may be in it. What belongs to another looks the same.
func TestWhatCannotBeReadOfTheJournalIsTold(t *testing.T) {
	t.Parallel()
	c := newCountry(t)
	x := c.one(func(x *roc.Record) bool { return x.From == "1"+ownEJ })
	foreign := c.one(func(x *roc.Record) bool { return x.From == "1"+otherEJ })
	files, err := filepath.Glob(filepath.Join(c.dir, "journal", "segment-*.open"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files { // a folder where a file is: reading fails, whoever reads
		if err := errors.Join(os.Remove(file), os.Symlink(t.TempDir(), file)); err != nil {
			t.Fatal(err)
		}
	}
	base := "/etablissement/1" + ownEJ
	if body := html.UnescapeString(c.page("own", base+"/echanges?du=2026-11-20&au=2026-11-26")); !strings.Contains(body, "dans ce qui a pu être lu") || !strings.Contains(body, "ne peut pas être lue pour le moment") {
		t.Error("the search does not say that some of the journal cannot be read")
	}
	for _, id := range []roc.ExchangeID{x.ID, foreign.ID} {
		if w := c.get("own", base+"/echange/"+string(id)); w.Code != http.StatusServiceUnavailable || !strings.Contains(html.UnescapeString(w.Body.String()), "n'est pas lu en entier") {
			t.Errorf("%s, in what cannot be read: %d", id, w.Code)
		}
	}
}

// What is printed for people, letter by letter: the other tests ask the same code.
func TestFiguresAreTypeset(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"12345":     "12\u202f345",
		"999":       "999",
		"0,043 s":   "43\u00a0ms",
		"1,144 s":   "1,144\u00a0s",
		"96,5 %":    "96,5\u00a0%",
		"1500 /s":   "1\u202f500\u00a0/s",
		"3 minutes": "3\u00a0minutes",
	} {
		if got := typeset(given); got != want {
			t.Errorf("%q is printed %q, want %q", given, got, want)
		}
	}
}
