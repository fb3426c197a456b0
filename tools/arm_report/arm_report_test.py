#!/usr/bin/env python3
"""Tests of what the report is made of, on small programs. Needs no other tool."""
import unittest

import comments
import counting
import loops
import mca

CASE = counting.Case("kernel", "gemv", "neon", "m=1", 3200, 1800)


def program(lines, function="kernel"):
    """A Program of (address, instruction)."""
    return loops.Program(dict(lines), {address: function for address, _ in lines})


def counts(executed):
    """Counts of a call that executed these addresses."""
    return counting.Counts(CASE, {"insns": sum(executed.values())}, executed)


class CountingTest(unittest.TestCase):
    OUTPUT = ("total insns 900 int 900\n"
              "region 1 entries 1 own insns 25 int 20 simd_dot 5\n"
              "region 1 entries 1 all insns 25 int 20 simd_dot 5\n"
              "block 0x100 insns 2 executed 5\n"
              "block 0x104 insns 2 executed 5\n"
              "block ? insns 5 executed 1\n")

    def test_overlapping_blocks_add_up(self):
        parsed = counting.parse(CASE, self.OUTPUT)
        self.assertEqual(parsed.executed, {0x100: 5, 0x104: 10, 0x108: 5})
        self.assertAlmostEqual(parsed.per_unit(), 0.25)
        self.assertAlmostEqual(parsed.per_unit(("simd_dot",)), 0.05)

    def test_blocks_that_are_missing_are_an_error(self):
        with self.assertRaises(SystemExit):
            counting.parse(CASE, self.OUTPUT.replace("block ? insns 5", "block ? insns 4"))


class LoopsTest(unittest.TestCase):
    def test_instructions_belong_to_the_smallest_loop(self):
        code = program([(0, "mov x3, #10"),
                        (4, "mov x4, #10"),
                        (8, "sdot v31.4s, v0.16b, v1.16b"),
                        (12, "subs x4, x4, #1"),
                        (16, "b.ne 0x8 <kernel+0x8>"),
                        (20, "cbnz x3, 0x4 <kernel+0x4>"),
                        (24, "ret")])
        executed = {0: 1, 4: 10, 8: 100, 12: 100, 16: 100, 20: 10, 24: 1}
        found = loops.find_loops(code, counts(executed))
        self.assertEqual([(loop.iterations, len(loop.text)) for loop in found],
                         [(100, 3), (10, 2)])
        self.assertEqual(found[0].text[2], "b.ne .")
        self.assertAlmostEqual(found[0].share, 300 / 322)

    def test_rare_instructions_are_left_out(self):
        code = program([(0, "tbz w0, #3, 0x8 <kernel+0x8>"),
                        (4, "fdiv s0, s0, s1"),
                        (8, "b.ne 0x0 <kernel>")])
        found = loops.find_loops(code, counts({0: 100, 4: 10, 8: 100}))
        self.assertEqual([len(loop.text) for loop in found], [2])

    def test_a_branch_to_another_function_makes_no_loop(self):
        code = program([(0, "add x0, x0, #1")], "callee")
        code.text[4], code.function[4] = "b 0x0 <callee>", "kernel"
        found = loops.find_loops(code, counts({0: 50, 4: 50}))
        self.assertEqual([len(loop.text) for loop in found], [1, 1])

    def test_registers_and_stack(self):
        loop = loops.Loop(1.0, 1, ["ld1 { v4.16b - v7.16b }, [x2], #64",
                                   "fmul v0.4s, v4.4s, v9.s[1]", "str q9, [sp, #16]",
                                   "add x8, x8, #1"])
        self.assertEqual(loops.vector_registers(loop), 6)
        self.assertEqual(loops.stack_accesses(loop), 1)


def region(pressures, cycles, micro_operations):
    """A region of llvm-mca's JSON: one instruction, usage by unit."""
    usage = [{"InstructionIndex": 1, "ResourceIndex": i, "ResourceUsage": value}
             for i, value in enumerate(pressures)]
    return {"Instructions": ["nop"],
            "SummaryView": {"TotalCycles": cycles, "Iterations": 100, "DispatchWidth": 2,
                            "TotaluOps": micro_operations},
            "ResourcePressureView": {"ResourcePressureInfo": usage}}


class McaTest(unittest.TestCase):
    def test_the_busiest_resource_is_the_limit(self):
        output = {"TargetInfo": {"Resources": ["XUnitV.\0", "XUnitV.\1", "XUnitLd"]},
                  "CodeRegions": [region([3, 5, 4], 1000, 300), region([1, 1, 1], 500, 800)]}
        self.assertEqual(mca.parse(output),
                         [mca.Estimate(10.0, "V", 0.5), mca.Estimate(5.0, "dispatch", 0.8)])

    def test_what_loops_leave_out_runs_at_their_rate(self):
        found = [loops.Loop(0.6, 100, []), loops.Loop(0.2, 10, [])]
        estimates = [mca.Estimate(7.0, "V", 1.0), mca.Estimate(10.0, "V", 1.0)]
        self.assertAlmostEqual(mca.cycles_per_unit(counts({}), found, estimates), 800 / 0.8 / 100)


class CommentsTest(unittest.TestCase):
    def test_paragraphs_of_the_head_comment(self):
        text = "// One.\n//\n// Registers\n//   v0  sum\nint x;\n// Bound by nothing.\n"
        self.assertEqual(comments.head_paragraphs(text), ["One.", "Registers\n  v0  sum"])

    def test_a_kernel_of_the_tree(self):
        found = comments.comments_of("gemv_f32_q8b32_q4b32_1x32_neon_dot")
        self.assertEqual(found.files[0],
                         "kernels/arm64/gemv/gemv_f32_q8b32_q4b32_1x32_neon_dot.S")
        self.assertIn("kernels/arm64/gemv/gemv_rows.h", found.files)
        self.assertEqual(len(found.registers), 1)
        self.assertTrue(found.limits[0].startswith("Bound by"))


if __name__ == "__main__":
    unittest.main()
