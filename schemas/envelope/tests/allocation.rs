//! No length field makes the parser allocate: whatever the fields announce, the memory taken is a small multiple of the bytes that are there.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use cofferdam_envelope::{Core, Head, MAGIC, Recipients, Role, SignatureBlock, Stanza};

struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands every call to the system allocator unchanged; the counter is beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        TAKEN.fetch_add(size, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// All bytes asked for, freed or not.
fn taken(parse: impl FnOnce()) -> usize {
    let before = TAKEN.load(Ordering::Relaxed);
    parse();
    TAKEN.load(Ordering::Relaxed) - before
}

// One test: the counter is the whole process's.
#[test]
fn lengths_alone_allocate_nothing() {
    // 20 bytes that announce the largest head.
    let mut prefix = MAGIC.to_vec();
    for len in [65_536u32, 1 << 20, 65_536] {
        prefix.extend_from_slice(&len.to_be_bytes());
    }
    assert!(taken(|| assert!(Head::parse(&prefix).is_err())) < 64);
    prefix[8..].fill(0xff);
    assert!(taken(|| assert!(Head::parse(&prefix).is_err())) < 64);

    // The most stanzas announced, in the smallest block; each announcing the longest body.
    let stanza = Stanza {
        role: Role::Tenant,
        alg: 0x4444,
        key_id: [0; 16],
        body: vec![],
    };
    let mut block = Recipients {
        revision: 0,
        stanzas: vec![stanza],
        mac: [0; 32],
    }
    .to_bytes()
    .unwrap();
    block[5..7].copy_from_slice(&256u16.to_be_bytes());
    block[26..28].copy_from_slice(&[0xff; 2]);
    let most = 256 * size_of::<Stanza>() + 1024;
    assert!(taken(|| assert!(Recipients::parse(&block).is_err())) < most);

    // Extensions and certificate.
    let mut core = vec![0; 66];
    core[1] = 1;
    core[60..].copy_from_slice(&[0, 4, 0, 7, 0xff, 0xff]);
    assert!(taken(|| assert!(Core::parse(&core).is_err())) < 64);
    let mut signature = vec![0; 59];
    signature[0] = 1;
    signature[17..19].copy_from_slice(&[0xff; 2]);
    assert!(taken(|| assert!(SignatureBlock::parse(&signature).is_err())) < 64);
}
