// Package journal keeps the sealed trace of every exchange, and proves it.
//
// # The life of a record
//
//  1. Reserve keeps room for the exchange when it starts. If there is no
//     room, the policy decides: refuse the exchange, or carry it and count it.
//  2. Append encodes the record, hashes it and copies it into the open
//     segment, a preallocated file mapped in memory: from there on it survives
//     the death of the process. The answer leaves afterwards, with a Receipt.
//  3. What is only known later is a small amending record (Amend).
//  4. Within a second (Relaxed), or before the answer leaves (Strict), the
//     segment is synced to the disk: the record survives the loss of power.
//  5. The sealer takes the hashes of the new records into a Merkle tree of
//     RFC 6962, and signs a checkpoint of it every SealEvery. Nothing waits for
//     it; its delay is in Stats.
//  6. A full or old segment is closed in the background: compressed, indexed,
//     its tiles written (C2SP tlog-tiles).
//  7. The oldest segments are deleted whole, by age or by size.
//
// Log reads a journal, of this process or of another, running or not: records,
// searches, proofs, verification.
//
// docs/journal.md describes every byte that is written here.
package journal
