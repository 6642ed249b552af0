//go:build !purego

#include "textflag.h"

// Registers: Z0-Z4 the accumulator A, limb 0 first; Z5-Z9 a; Z10-Z14 n;
// Z15-Z19 the sum P; Z20 b[i]; Z21 b[i+1]; Z22 y; Z23 k0; Z24 zero.
//
// VPMADD52LUQ and VPMADD52HUQ read the low 52 bits of both factors and add the
// low, or high, 52 bits of the product to a whole 64-bit lane: no carry moves
// from lane to lane before the end.
//
// BOUND. A limb of A begins as zero at the top, moves down by one limb at each
// of the 40 turns and is dropped at the bottom. At each turn it gains at most
// four terms below 2^52: the low and high halves of a[j]*b[i] and n[j]*y. At
// the bottom it gains once the carry of the limb dropped before it. By
// induction over the turns that limb is below 2^60, so its carry is below 2^8;
// the sum is at most 160*(2^52-1) + 2^8 < 2^60. No lane overflows.
//
// A is a sum of whole terms at their weights and what is dropped is zero mod
// 2^52 with its carry kept, so at the end A = (a*b + Y*n) / 2^2080 exactly,
// with Y = the sum of y[i]*2^(52i) < 2^2080: congruent to a*b/2^2080, below
// n + a*b/2^2080.

// FACTOR: y = A[0]*k0 mod 2^52, in every lane.
#define FACTOR \
	VPXORQ       Z22, Z22, Z22 \
	VPMADD52LUQ  Z23, Z0, Z22  \
	VPBROADCASTQ X22, Z22

// HIGH: P = the high halves of a*b[i]. They weigh one limb more than the low
// ones: they join A after it moves down. P is apart to keep these products off
// the chain y -> A -> next y, which sets the pace.
#define HIGH \
	VPXORQ      Z15, Z15, Z15 \
	VPXORQ      Z16, Z16, Z16 \
	VPXORQ      Z17, Z17, Z17 \
	VPXORQ      Z18, Z18, Z18 \
	VPXORQ      Z19, Z19, Z19 \
	VPMADD52HUQ Z20, Z5, Z15  \
	VPMADD52HUQ Z20, Z6, Z16  \
	VPMADD52HUQ Z20, Z7, Z17  \
	VPMADD52HUQ Z20, Z8, Z18  \
	VPMADD52HUQ Z20, Z9, Z19

// NEXT: P += the low halves of a*b[i+1], which belong to the next turn.
#define NEXT \
	VPMADD52LUQ Z21, Z5, Z15 \
	VPMADD52LUQ Z21, Z6, Z16 \
	VPMADD52LUQ Z21, Z7, Z17 \
	VPMADD52LUQ Z21, Z8, Z18 \
	VPMADD52LUQ Z21, Z9, Z19

// REDUCE: A += low halves of n*y, which makes limb 0 zero mod 2^52; A moves
// down one limb, the carry of limb 0 (only lane 0: mask K1) and P join it,
// P with the high halves of n*y.
#define REDUCE \
	VPMADD52LUQ Z22, Z10, Z0     \
	VPMADD52LUQ Z22, Z11, Z1     \
	VPMADD52LUQ Z22, Z12, Z2     \
	VPMADD52LUQ Z22, Z13, Z3     \
	VPMADD52LUQ Z22, Z14, Z4     \
	VPMADD52HUQ Z22, Z10, Z15    \
	VPMADD52HUQ Z22, Z11, Z16    \
	VPMADD52HUQ Z22, Z12, Z17    \
	VPMADD52HUQ Z22, Z13, Z18    \
	VPMADD52HUQ Z22, Z14, Z19    \
	VPSRLQ.Z    $52, Z0, K1, Z25 \
	VALIGNQ     $1, Z0, Z1, Z0   \
	VALIGNQ     $1, Z1, Z2, Z1   \
	VALIGNQ     $1, Z2, Z3, Z2   \
	VALIGNQ     $1, Z3, Z4, Z3   \
	VALIGNQ     $1, Z4, Z24, Z4  \
	VPADDQ      Z25, Z15, Z15    \
	VPADDQ      Z15, Z0, Z0      \
	VPADDQ      Z16, Z1, Z1      \
	VPADDQ      Z17, Z2, Z2      \
	VPADDQ      Z18, Z3, Z3      \
	VPADDQ      Z19, Z4, Z4

// func amm(out, a, b, n *number, k0 uint64)
TEXT ·amm(SB), NOSPLIT, $0-40
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), BX
	MOVQ n+24(FP), DX

	VMOVDQU64    (SI), Z5
	VMOVDQU64    64(SI), Z6
	VMOVDQU64    128(SI), Z7
	VMOVDQU64    192(SI), Z8
	VMOVDQU64    256(SI), Z9
	VMOVDQU64    (DX), Z10
	VMOVDQU64    64(DX), Z11
	VMOVDQU64    128(DX), Z12
	VMOVDQU64    192(DX), Z13
	VMOVDQU64    256(DX), Z14
	VPBROADCASTQ k0+32(FP), Z23
	VPXORQ       Z24, Z24, Z24
	MOVL         $1, AX
	KMOVW        AX, K1

	// A = the low halves of a*b[0].
	VPBROADCASTQ (BX), Z21
	VPXORQ       Z0, Z0, Z0
	VPXORQ       Z1, Z1, Z1
	VPXORQ       Z2, Z2, Z2
	VPXORQ       Z3, Z3, Z3
	VPXORQ       Z4, Z4, Z4
	VPMADD52LUQ  Z21, Z5, Z0
	VPMADD52LUQ  Z21, Z6, Z1
	VPMADD52LUQ  Z21, Z7, Z2
	VPMADD52LUQ  Z21, Z8, Z3
	VPMADD52LUQ  Z21, Z9, Z4

	MOVL $39, CX

turn:
	VPBROADCASTQ (BX), Z20
	VPBROADCASTQ 8(BX), Z21
	FACTOR
	HIGH
	NEXT
	REDUCE
	ADDQ $8, BX
	DECL CX
	JNZ  turn

	VPBROADCASTQ (BX), Z20
	FACTOR
	HIGH
	REDUCE

	// Limbs are below 2^60: give the bits above 52 to the limb above. They are
	// then at most 2^52-1 + 2^8-1. The top one gives none: A is below 2^2080.
	VPTERNLOGQ $0xFF, Z26, Z26, Z26
	VPSRLQ     $63, Z26, Z27        // 1
	VPSRLQ     $12, Z26, Z26        // 2^52-1
	VPSRLQ     $52, Z0, Z15
	VPSRLQ     $52, Z1, Z16
	VPSRLQ     $52, Z2, Z17
	VPSRLQ     $52, Z3, Z18
	VPSRLQ     $52, Z4, Z19
	VPANDQ     Z26, Z0, Z0
	VPANDQ     Z26, Z1, Z1
	VPANDQ     Z26, Z2, Z2
	VPANDQ     Z26, Z3, Z3
	VPANDQ     Z26, Z4, Z4
	VALIGNQ    $7, Z18, Z19, Z19
	VALIGNQ    $7, Z17, Z18, Z18
	VALIGNQ    $7, Z16, Z17, Z17
	VALIGNQ    $7, Z15, Z16, Z16
	VALIGNQ    $7, Z24, Z15, Z15
	VPADDQ     Z15, Z0, Z0
	VPADDQ     Z16, Z1, Z1
	VPADDQ     Z17, Z2, Z2
	VPADDQ     Z18, Z3, Z3
	VPADDQ     Z19, Z4, Z4

	// Each limb now gives at most 1, and those carries may run through limbs
	// of 2^52-1. With a bit per limb, G the limbs above 2^52-1 and E those
	// equal to it, one addition runs them all: the limbs that get 1 are
	// ((G<<1) + E) xor E.
	VPCMPUQ  $6, Z26, Z4, K2
	VPCMPUQ  $6, Z26, Z3, K3
	VPCMPUQ  $6, Z26, Z2, K4
	VPCMPUQ  $6, Z26, Z1, K5
	VPCMPUQ  $6, Z26, Z0, K6
	KMOVW    K2, AX
	KMOVW    K3, BX
	KMOVW    K4, CX
	KMOVW    K5, DX
	KMOVW    K6, SI
	SHLQ     $8, AX
	ORQ      BX, AX
	SHLQ     $8, AX
	ORQ      CX, AX
	SHLQ     $8, AX
	ORQ      DX, AX
	SHLQ     $8, AX
	ORQ      SI, AX
	VPCMPEQQ Z26, Z4, K2
	VPCMPEQQ Z26, Z3, K3
	VPCMPEQQ Z26, Z2, K4
	VPCMPEQQ Z26, Z1, K5
	VPCMPEQQ Z26, Z0, K6
	KMOVW    K2, DI
	KMOVW    K3, BX
	KMOVW    K4, CX
	KMOVW    K5, DX
	KMOVW    K6, SI
	SHLQ     $8, DI
	ORQ      BX, DI
	SHLQ     $8, DI
	ORQ      CX, DI
	SHLQ     $8, DI
	ORQ      DX, DI
	SHLQ     $8, DI
	ORQ      SI, DI
	LEAQ     (DI)(AX*2), AX
	XORQ     DI, AX
	KMOVW    AX, K2
	SHRQ     $8, AX
	KMOVW    AX, K3
	SHRQ     $8, AX
	KMOVW    AX, K4
	SHRQ     $8, AX
	KMOVW    AX, K5
	SHRQ     $8, AX
	KMOVW    AX, K6
	VPADDQ   Z27, Z0, K2, Z0
	VPADDQ   Z27, Z1, K3, Z1
	VPADDQ   Z27, Z2, K4, Z2
	VPADDQ   Z27, Z3, K5, Z3
	VPADDQ   Z27, Z4, K6, Z4
	VPANDQ   Z26, Z0, Z0
	VPANDQ   Z26, Z1, Z1
	VPANDQ   Z26, Z2, Z2
	VPANDQ   Z26, Z3, Z3
	VPANDQ   Z26, Z4, Z4

	MOVQ      out+0(FP), DI
	VMOVDQU64 Z0, (DI)
	VMOVDQU64 Z1, 64(DI)
	VMOVDQU64 Z2, 128(DI)
	VMOVDQU64 Z3, 192(DI)
	VMOVDQU64 Z4, 256(DI)
	VZEROUPPER
	RET
