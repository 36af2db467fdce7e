//! The heap: from the end of the frame input upwards, never given back, so that fresh memory is zero.

use super::code::Code;
use super::layout::{Global, MAXIMUM_PAGES, PAGE};

/// Leaves the address of fresh zero bytes at a multiple of eight, or 0 if they do not fit.
pub(super) fn allocate(c: &mut Code<'_>) {
    let bytes = c.parameter();
    let (start, end, pages) = (c.int(), c.long(), c.int());
    let limit = MAXIMUM_PAGES as i64 * i64::from(PAGE);
    c.get(bytes).l(limit).i64_gt_u().if_();
    c.i(0).return_().end();

    c.get_global(Global::HeapEnd).tee(start).i64_extend_i32_u();
    c.get(bytes).i64_add().l(7).i64_add().l(-8).i64_and().tee(end);
    c.get_global(Global::HeapLimit).i64_extend_i32_u().i64_gt_u().if_();
    {
        c.get(end).l(limit).i64_gt_u().if_();
        c.i(0).return_().end();
        c.get(end).i32_wrap_i64().get_global(Global::HeapLimit).i32_sub();
        c.i(PAGE - 1).i32_add().i(16).i32_shr_u().tee(pages);
        c.memory_grow().i(u32::MAX).i32_eq().if_();
        c.i(0).return_().end();
        c.get_global(Global::HeapLimit).get(pages).i(16).i32_shl().i32_add();
        c.set_global(Global::HeapLimit);
    }
    c.end();
    c.get(end).i32_wrap_i64().set_global(Global::HeapEnd);
    c.get(start);
}
