package ops

import "strings"

// regions gives the départements of each region (law of 2015-01-16), in the
// codes of INSEE and, overseas, in those of FINESS too (9A to 9F).
var regions = []struct{ nom, departements string }{
	{"Auvergne-Rhône-Alpes", "01 03 07 15 26 38 42 43 63 69 73 74"},
	{"Bourgogne-Franche-Comté", "21 25 39 58 70 71 89 90"},
	{"Bretagne", "22 29 35 56"},
	{"Centre-Val de Loire", "18 28 36 37 41 45"},
	{"Corse", "2A 2B 20"},
	{"Grand Est", "08 10 51 52 54 55 57 67 68 88"},
	{"Hauts-de-France", "02 59 60 62 80"},
	{"Île-de-France", "75 77 78 91 92 93 94 95"},
	{"Normandie", "14 27 50 61 76"},
	{"Nouvelle-Aquitaine", "16 17 19 23 24 33 40 47 64 79 86 87"},
	{"Occitanie", "09 11 12 30 31 32 34 46 48 65 66 81 82"},
	{"Pays de la Loire", "44 49 53 72 85"},
	{"Provence-Alpes-Côte d'Azur", "04 05 06 13 83 84"},
	{"Guadeloupe", "971 9A"},
	{"Martinique", "972 9B"},
	{"Guyane", "973 9C"},
	{"La Réunion", "974 9D"},
	{"Saint-Pierre-et-Miquelon", "975 9E"},
	{"Mayotte", "976 9F"},
}

// regionOf returns the region of a département, "" for one it does not know.
func regionOf(departement string) string {
	for _, r := range regions {
		for d := range strings.FieldsSeq(r.departements) {
			if d == departement {
				return r.nom
			}
		}
	}
	return ""
}
