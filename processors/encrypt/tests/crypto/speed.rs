use crate::support::*;
use std::time::Instant;
#[test]
fn speed() {
    let cpu = || {
        let s = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        s.split(' ').next().unwrap().parse::<u64>().unwrap() as f64 / 1e9
    };
    let _ = Instant::now();
    each_provider(|p| {
        let world = World::new(p.clone());
        let text = plaintext(4 << 20);
        for _ in 0..2 {
            let mut s = cofferdam_encrypt::crypto::PayloadSealer::new(p.as_ref(), &[1; 32], &[2; 24], b"").unwrap();
            let mut out = Vec::with_capacity(5 << 20);
            let t = cpu();
            for _ in 0..32 {
                out.clear();
                s.update(&text, &mut out).unwrap();
            }
            let d = cpu() - t;
            eprintln!("{} seal+blake3 {:.2} GB/s", p.kind(), (32u64 << 22) as f64 / d / 1e9);
            let mut s = cofferdam_encrypt::crypto::PayloadSealer::new(p.as_ref(), &[1; 32], &[2; 24], b"").unwrap();
            let mut out = Vec::new();
            s.update(&text, &mut out).unwrap();
            s.finish(&mut out).unwrap();
            let t = cpu();
            let mut plain = Vec::with_capacity(5 << 20);
            for _ in 0..32 {
                plain.clear();
                let mut o = cofferdam_encrypt::crypto::PayloadOpener::new(
                    p.as_ref(),
                    &[1; 32],
                    out.first_chunk().unwrap(),
                    b"",
                    out.len() as u64,
                    None,
                )
                .unwrap();
                o.update(&out[56..], &mut plain).unwrap();
                o.finish().unwrap();
            }
            let d = cpu() - t;
            eprintln!("{} open+blake3 {:.2} GB/s", p.kind(), (32u64 << 22) as f64 / d / 1e9);
            let t = cpu();
            for _ in 0..200 {
                world.seal_fresh(&text[..4096]);
            }
            eprintln!("{} seal 4k {:.0} us", p.kind(), (cpu() - t) / 200.0 * 1e6);
            let object = world.seal_fresh(&text[..4096]).object;
            let keys = Keys::of(&[&world.kem]);
            let t = cpu();
            for _ in 0..200 {
                world.open_with(&object, &world.open_request(), &keys).unwrap();
            }
            eprintln!("{} open 4k {:.0} us", p.kind(), (cpu() - t) / 200.0 * 1e6);
        }
    });
}
