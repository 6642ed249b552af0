package main

import "bytes"

func (w *world) makeMessages(size int) error {
	m := bytes.Repeat([]byte("x"), size)
	w.message, w.answer = len(m), len(m)
	w.request = httpMessage("POST /roc HTTP/1.1\r\nHost: "+rpnName, "application/soap+xml; charset=utf-8", m)
	return w.startInsurer(httpMessage("HTTP/1.1 200 OK", "application/soap+xml; charset=utf-8", m))
}
