package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// Forbidden says in one sentence why this user may not read a file, and the
// command that changes it: of the file itself, or of the first folder above it
// that this user may not pass.
func Forbidden(file string) string {
	who, group := UserName(os.Getuid()), groupName(os.Getgid())
	if folder := barred(file); folder != "" {
		return fmt.Sprintf("%s may not be read by %s: the folder %s is %s: chgrp %s %s && chmod g+x %s", file, who, folder, Ownership(folder), group, folder, folder)
	}
	return fmt.Sprintf("%s may not be read by %s: it is %s: chown %s %s, or chgrp %s %s && chmod g+r %s", file, who, Ownership(file), who, file, group, file, file)
}

// barred is the first folder of a path that this user may not pass, or "".
func barred(file string) string {
	var above []string
	for dir := filepath.Clean(file); ; dir = filepath.Dir(dir) {
		above = append([]string{dir}, above...)
		if dir == filepath.Dir(dir) {
			break
		}
	}
	for i, p := range above {
		if _, err := os.Stat(p); i > 0 && errors.Is(err, fs.ErrPermission) {
			return above[i-1]
		}
	}
	return ""
}

// Ownership is "of root:rpn, mode 0640".
func Ownership(file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return "of somebody else"
	}
	mode := fmt.Sprintf("mode %04o", info.Mode().Perm())
	if uid, gid, ok := owner(info); ok {
		return "of " + UserName(uid) + ":" + groupName(gid) + ", " + mode
	}
	return mode
}

// UserName is the name of a user, or its number.
func UserName(id int) string {
	if u, err := user.LookupId(strconv.Itoa(id)); err == nil {
		return u.Username
	}
	return "uid " + strconv.Itoa(id)
}

func groupName(id int) string {
	if g, err := user.LookupGroupId(strconv.Itoa(id)); err == nil {
		return g.Name
	}
	return "gid " + strconv.Itoa(id)
}

// MayRead reports whether a user, in its groups, may read a file by the modes of
// the file and of the folders above it. What else grants rights (ACLs) is not
// looked at. True also where it cannot be known.
func MayRead(file string, uid int) bool {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return true
	}
	groups, err := u.GroupIds()
	if err != nil {
		return true
	}
	file, err = filepath.Abs(file)
	if err != nil {
		return true
	}
	if !allows(file, uid, groups, 4) {
		return false
	}
	for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
		if !allows(dir, uid, groups, 1) {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

// MayWrite is MayRead about making files in a folder.
func MayWrite(folder string, uid int) bool {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return true
	}
	groups, err := u.GroupIds()
	return err != nil || allows(folder, uid, groups, 2) && allows(folder, uid, groups, 1)
}

// allows reports whether the mode of a file gives a user that bit: 4 to read, 1
// to pass.
func allows(file string, uid int, groups []string, bit fs.FileMode) bool {
	info, err := os.Stat(file)
	if err != nil {
		return true // another says it
	}
	of, group, ok := owner(info)
	switch {
	case !ok || uid == 0:
		return true
	case of == uid:
		return info.Mode().Perm()&(bit<<6) != 0
	}
	for _, g := range groups {
		if g == strconv.Itoa(group) {
			return info.Mode().Perm()&(bit<<3) != 0
		}
	}
	return info.Mode().Perm()&bit != 0
}

// Owner is the user whose a file is; false where it cannot be known.
func Owner(file string) (uid int, ok bool) {
	info, err := os.Stat(file)
	if err != nil {
		return 0, false
	}
	uid, _, ok = owner(info)
	return uid, ok
}
