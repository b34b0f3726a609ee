//! How fast objects are sealed and opened.
//!
//! ```text
//! cargo bench -p cofferdam-encrypt --bench envelope -- [--quick] [--only TEXT] [--piece BYTES] [--peer PROGRAM]
//! ```
//!
//! `--piece` is how many bytes are handed over at a time, 4 MiB unless given; `--only` measures figures whose name contains the text.
//!
//! Prints one line a figure, `name value unit`, to standard output, and nothing else there. A name is made of
//!
//! * what: `seal`, `open`;
//! * by what: `rust-crypto`, `aws-lc`;
//! * on what: `caller` (one thread), `cores` (that thread and the pool), `apart` (as many objects at once as there are cores, each on a thread of its own: they share
//!   nothing but the machine, so no way of sharing one object's work out can be faster);
//! * how signed: `each`, `batch64` (64 objects under one signature), `at-once-each` and `at-once-batch` (16 tasks seal at the same time; the batch signer gathers what it gets); only where
//!   objects are small enough for it to matter;
//! * the document's size: `1KiB` to `1GiB`;
//! * what was measured: `memory` (what sealing took above what was there, MB), `wall`, `cpu` (GB/s by the clock, and by processor time of the thread or, on all cores, of the process), `rate` (objects a second and core, by processor time).
//!
//! `parts.…` is what no way of putting them together can beat: the cipher alone, the hash alone, and of a small object the signature and one encapsulation.
//!
//! After them come ratios (`times`): `scale.…` is all cores against one by the clock (`scale.apart.…` the objects of their own), `provider.…` aws-lc against rust-crypto. Every figure is the median of several rounds; the rounds of what is
//! compared take turns, so that a noisy neighbour hits all of them. `--peer` names a program (see `tests/peers`) that prints lines of the same form, which are passed through.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cofferdam_encrypt::crypto::{
    BatchSigner, Coins, CompositeSigner, Dek, Directory, Kem, OpenError, OpenRequest, Opener, PrivateMetadata,
    Provider, ProviderKind, RecipientSecret, Role, SealRequest, Sealer, Signer, Stanza, StanzaAlg, Unwrap, VerifyKey,
    Workers, provider, sign_together,
};
use cofferdam_envelope::geometry::CHUNK_LEN;
use cofferdam_schemas::{KeyId, TenantName};
use futures::executor::block_on;

const KIB: usize = 1 << 10;
/// How much is handed over at a time, unless `--piece` says otherwise.
const PIECE: usize = 4 << 20;
/// Up to here objects are measured one by one and signatures count.
const SMALL: usize = 64 * KIB;
const BATCH: usize = 64;
/// Documents in hand at once, and how many each task does.
const AT_ONCE: usize = 16;

struct Keys(HashMap<KeyId, RecipientSecret>);

#[async_trait::async_trait]
impl Unwrap for Keys {
    fn holds(&self, id: &KeyId) -> bool {
        self.0.contains_key(id)
    }
    async fn unwrap(&self, stanza: &Stanza, header: &[u8; 32]) -> Result<Dek, OpenError> {
        self.0[&KeyId(stanza.key_id)].unwrap(stanza, header)
    }
}

struct Trust(VerifyKey);

impl Directory for Trust {
    fn verifier(&self, _: &KeyId) -> Option<VerifyKey> {
        Some(self.0.clone())
    }
}

struct World {
    piece: usize,
    provider: Arc<dyn Provider>,
    tenant: TenantName,
    request: SealRequest,
    keys: Keys,
    signer: Arc<CompositeSigner>,
    trust: Trust,
}

impl World {
    fn new(kind: ProviderKind, piece: usize) -> Self {
        let provider = provider(kind);
        let secret =
            |seed| RecipientSecret::from_seed(provider.clone(), StanzaAlg::MlKem768X25519, &[seed; 32]).unwrap();
        let (kem, recovery) = (secret(1), secret(2));
        let tenant = TenantName::new("bench").unwrap();
        let recipients = vec![kem.recipient(Role::Tenant), recovery.recipient(Role::Recovery)];
        let mut request = SealRequest::new([7; 16], tenant.clone(), 1_790_000_000_000, recipients);
        request.private = Some(PrivateMetadata {
            key: "bench/a document.pdf".into(),
            content_type: Some("application/pdf".into()),
            user: BTreeMap::new(),
        });
        let signer = Arc::new(CompositeSigner::from_seeds(&[3; 32], &[4; 32]));
        let trust = Trust(signer.verify_key());
        let keys = Keys(HashMap::from([(kem.id(), kem)]));
        Self {
            piece,
            provider,
            tenant,
            request,
            keys,
            signer,
            trust,
        }
    }

    /// Seals, and gives every piece of the object to `take`; the head last, as it is written.
    fn seal(&self, plaintext: &[u8], workers: Workers, mut take: impl FnMut(&[u8])) {
        let mut sealer = Sealer::new(self.provider.as_ref(), &self.request, self.signer.as_ref()).unwrap();
        sealer.set_workers(workers);
        let mut out = Vec::new();
        for piece in plaintext.chunks(self.piece) {
            out.clear();
            sealer.update_into(piece, &mut out).unwrap();
            take(&out);
        }
        let sealed = block_on(sealer.finish(self.signer.as_ref())).unwrap();
        take(&sealed.tail);
        take(&sealed.head);
    }

    /// Seals many small ones under one signature.
    fn seal_batch(&self, plaintext: &[u8]) {
        let unsigned: Vec<_> = (0..BATCH)
            .map(|_| {
                let mut sealer = Sealer::new(self.provider.as_ref(), &self.request, self.signer.as_ref()).unwrap();
                black_box(sealer.update(plaintext).unwrap());
                sealer.finish_unsigned().unwrap()
            })
            .collect();
        let statements: Vec<&[u8]> = unsigned.iter().map(|one| one.statement()).collect();
        let signatures = sign_together(&self.signer, &statements).unwrap();
        for (one, signature) in unsigned.into_iter().zip(signatures) {
            black_box(one.complete_with(signature).unwrap());
        }
    }

    /// Seals 256 documents, 16 at a time, as a service under load does.
    fn signer_of_now(&self, batch: Option<&BatchSigner>) -> Arc<dyn Signer> {
        match batch {
            Some(batch) => Arc::new(batch.turn()),
            None => self.signer.clone(),
        }
    }

    fn seal_at_once(
        self: &Arc<Self>,
        runtime: &tokio::runtime::Runtime,
        plaintext: &Arc<[u8]>,
        batch: Option<&BatchSigner>,
    ) {
        runtime.block_on(async {
            let tasks: Vec<_> = (0..AT_ONCE)
                .map(|_| {
                    let (world, plaintext) = (self.clone(), plaintext.clone());
                    let batch = batch.cloned();
                    tokio::spawn(async move {
                        for _ in 0..AT_ONCE {
                            let signer = world.signer_of_now(batch.as_ref());
                            let mut sealer =
                                Sealer::new(world.provider.as_ref(), &world.request, signer.as_ref()).unwrap();
                            black_box(sealer.update(&plaintext).unwrap());
                            black_box(sealer.finish_any(signer.as_ref()).await.unwrap());
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    }

    fn object(&self, plaintext: &[u8]) -> Vec<u8> {
        let mut parts = Vec::with_capacity(plaintext.len() + plaintext.len() / 1000 + 16 * KIB);
        let mut head = Vec::new();
        // The head comes last and goes first; its length is known.
        let head_len = Sealer::new(self.provider.as_ref(), &self.request, self.signer.as_ref())
            .unwrap()
            .head_len();
        parts.resize(head_len, 0);
        self.seal(plaintext, Workers::Cores, |part| {
            head.clear();
            head.extend_from_slice(&part[..part.len().min(head_len)]);
            parts.extend_from_slice(part);
        });
        parts.truncate(parts.len() - head_len);
        parts[..head_len].copy_from_slice(&head);
        parts
    }

    fn open(&self, object: &[u8], workers: Workers) {
        let request = OpenRequest::new(&self.tenant).object_len(object.len() as u64);
        let needs = Opener::needs(&object[..20]).unwrap();
        let opener = Opener::begin(
            self.provider.clone(),
            &object[..needs],
            &self.trust,
            &request,
            &self.keys,
        );
        let opener = block_on(opener).unwrap();
        let mut stream = opener.stream().unwrap();
        stream.set_workers(workers);
        let mut out = Vec::new();
        for piece in object[opener.consumed() as usize..].chunks(self.piece) {
            out.clear();
            stream.update(piece, &mut out).unwrap();
            black_box(&out);
        }
        stream.finish().unwrap();
    }
}

/// A line of this process's memory as the kernel tells it, in bytes.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    found
        .trim_start_matches(':')
        .trim_end_matches("kB")
        .trim()
        .parse::<u64>()
        .unwrap()
        * 1024
}

/// How much memory sealing a document takes that is never in memory as a whole, above what was there before.
fn bounded(settings: &Settings, kind: ProviderKind, world: &World) {
    let size: u64 = if settings.quick { 1 << 30 } else { 10 << 30 };
    let name = format!("seal.{kind}.cores.{}GiB.memory", size >> 30);
    if settings.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
        return;
    }
    let piece = vec![7; settings.piece];
    // 5: the highest mark begins anew.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS");
    let mut sealer = Sealer::new(world.provider.as_ref(), &world.request, world.signer.as_ref()).unwrap();
    let mut out = Vec::new();
    for _ in 0..size / piece.len() as u64 {
        out.clear();
        sealer.update_into(&piece, &mut out).unwrap();
        black_box(&out);
    }
    black_box(block_on(sealer.finish(world.signer.as_ref())).unwrap());
    println!("{name} {:.1} MB", memory("VmHWM").saturating_sub(before) as f64 / 1e6);
}

/// Processor time so far, of this thread or of the process.
fn cpu(process: bool) -> Duration {
    let clock = if process {
        libc::CLOCK_PROCESS_CPUTIME_ID
    } else {
        libc::CLOCK_THREAD_CPUTIME_ID
    };
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on every Linux, and `time` is valid for writing.
    assert_eq!(unsafe { libc::clock_gettime(clock, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What one round took.
#[derive(Clone, Copy)]
struct Took {
    wall: f64,
    cpu: f64,
}

fn took(process: bool, times: usize, work: &mut dyn FnMut()) -> Took {
    let (wall, before) = (Instant::now(), cpu(process));
    for _ in 0..times {
        work();
    }
    let per = times as f64;
    Took {
        wall: wall.elapsed().as_secs_f64() / per,
        cpu: (cpu(process) - before).as_secs_f64() / per,
    }
}

fn median(rounds: &[Took], of: impl Fn(&Took) -> f64) -> f64 {
    let mut all: Vec<f64> = rounds.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

struct Case<'a> {
    name: String,
    /// Whether processor time is the process's.
    cores: bool,
    /// How many objects one call makes.
    objects: usize,
    work: Box<dyn FnMut() + 'a>,
}

fn size_name(size: usize) -> String {
    match size {
        0..0x10_0000 => format!("{}KiB", size >> 10),
        0x10_0000..0x4000_0000 => format!("{}MiB", size >> 20),
        _ => format!("{}GiB", size >> 30),
    }
}

struct Settings {
    quick: bool,
    only: Option<String>,
    piece: usize,
    peer: Option<String>,
}

fn settings() -> Settings {
    let mut settings = Settings {
        quick: false,
        only: None,
        piece: PIECE,
        peer: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => settings.quick = true,
            "--only" => settings.only = args.next(),
            "--piece" => {
                settings.piece = args
                    .next()
                    .and_then(|bytes| bytes.parse().ok())
                    .filter(|&n| n > 0)
                    .unwrap_or(PIECE)
            }
            "--peer" => settings.peer = args.next(),
            // What cargo says to every bench and test.
            "--bench" | "--test" => {}
            other => {
                eprintln!("unknown argument {other}: takes --quick, --only TEXT, --piece BYTES, --peer PROGRAM");
                std::process::exit(2);
            }
        }
    }
    settings
}

fn main() {
    let settings = settings();
    let sizes: &[usize] = if settings.quick {
        &[KIB, 64 * KIB, 4 << 20, 64 << 20]
    } else {
        &[KIB, 16 * KIB, 64 * KIB, KIB << 10, 16 << 20, 128 << 20, 1 << 30]
    };
    let worlds = ProviderKind::ALL.map(|kind| (kind, Arc::new(World::new(kind, settings.piece))));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build()
        .unwrap();
    for (kind, world) in &worlds {
        bounded(&settings, *kind, world);
    }
    let mut figures = BTreeMap::new();
    for &size in sizes {
        let plaintext: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let mut sealing = cases_sealing(&worlds, &plaintext);
        sealing.extend(cases_parts(&worlds, &plaintext));
        if size == KIB {
            sealing.extend(cases_at_once(&worlds, &plaintext, &runtime));
        }
        run(&settings, sealing, size, &mut figures);
        if settings.only.as_ref().is_some_and(|only| only.starts_with("seal")) {
            continue;
        }
        let objects: Vec<Vec<u8>> = worlds.iter().map(|(_, world)| world.object(&plaintext)).collect();
        drop(plaintext);
        run(&settings, cases_opening(&worlds, &objects, size), size, &mut figures);
    }
    ratios(&figures);
    if let Some(peer) = &settings.peer {
        let mut command = std::process::Command::new(peer);
        if settings.quick {
            command.arg("--quick");
        }
        let status = command.status().unwrap_or_else(|error| panic!("{peer}: {error}"));
        assert!(status.success(), "{peer}: {status}");
    }
}

fn kinds(size: usize) -> &'static [(&'static str, Workers)] {
    if size <= SMALL {
        &[("caller", Workers::Caller)]
    } else {
        &[("caller", Workers::Caller), ("cores", Workers::Cores)]
    }
}

fn cases_sealing<'a>(worlds: &'a [(ProviderKind, Arc<World>)], plaintext: &'a [u8]) -> Vec<Case<'a>> {
    let mut cases = Vec::new();
    let size = size_name(plaintext.len());
    for (kind, world) in worlds {
        let small = plaintext.len() <= SMALL;
        for &(on, workers) in kinds(plaintext.len()) {
            let signed = if small { ".each" } else { "" };
            cases.push(Case {
                name: format!("seal.{kind}.{on}{signed}.{size}"),
                cores: on == "cores",
                objects: 1,
                work: Box::new(move || {
                    world.seal(plaintext, workers, |part| {
                        black_box(part);
                    })
                }),
            });
        }
        if !small {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            cases.push(Case {
                name: format!("seal.{kind}.apart.{size}"),
                cores: true,
                objects: threads,
                work: Box::new(move || {
                    std::thread::scope(|scope| {
                        for _ in 0..threads {
                            scope.spawn(|| {
                                world.seal(plaintext, Workers::Caller, |part| {
                                    black_box(part);
                                });
                            });
                        }
                    })
                }),
            });
        }
        if small {
            cases.push(Case {
                name: format!("seal.{kind}.caller.batch{BATCH}.{size}"),
                cores: false,
                objects: BATCH,
                work: Box::new(move || world.seal_batch(plaintext)),
            });
        }
    }
    cases
}

fn cases_parts<'a>(worlds: &'a [(ProviderKind, Arc<World>)], plaintext: &'a [u8]) -> Vec<Case<'a>> {
    let mut cases = Vec::new();
    let size = size_name(plaintext.len());
    let mut add = |name: String, work: Box<dyn FnMut() + 'a>| {
        cases.push(Case {
            name: format!("parts.{name}.caller.{size}"),
            cores: false,
            objects: 1,
            work,
        });
    };
    for (kind, world) in worlds {
        if plaintext.len() == KIB {
            let secret = world.provider.decapsulator(Kem::MlKem768X25519, &[6; 32]).unwrap();
            let key = world
                .provider
                .encapsulator(Kem::MlKem768X25519, secret.public())
                .unwrap();
            let encapsulate = move || drop(black_box(key.encapsulate(Coins::Fresh).unwrap()));
            add(format!("encapsulation.{kind}"), Box::new(encapsulate));
        }
        if plaintext.len() > SMALL {
            let aead = world.provider.aes_256_gcm(&[5; 32]).unwrap();
            let mut out = vec![0; CHUNK_LEN + 16];
            let seal = move || {
                for chunk in plaintext.chunks(CHUNK_LEN) {
                    aead.seal(&[0; 12], &[], chunk, &mut out[..chunk.len() + 16]).unwrap();
                    black_box(&out);
                }
            };
            add(format!("cipher.{kind}"), Box::new(seal));
        }
    }
    match worlds {
        [(_, world), ..] if plaintext.len() == KIB => {
            let sign = move || drop(black_box(world.signer.sign_with_context(b"bench", plaintext).unwrap()));
            add("signature".to_owned(), Box::new(sign));
        }
        _ if plaintext.len() > SMALL => add(
            "blake3".to_owned(),
            Box::new(move || {
                black_box(blake3::hash(plaintext));
            }),
        ),
        _ => {}
    }
    cases
}

fn cases_at_once<'a>(
    worlds: &'a [(ProviderKind, Arc<World>)],
    plaintext: &[u8],
    runtime: &'a tokio::runtime::Runtime,
) -> Vec<Case<'a>> {
    let mut cases = Vec::new();
    for (kind, world) in worlds {
        let batch = BatchSigner::new(world.signer.clone());
        for (signed, batch) in [("each", None), ("batch", Some(batch))] {
            let plaintext: Arc<[u8]> = plaintext.into();
            cases.push(Case {
                name: format!("seal.{kind}.cores.at-once-{signed}.{}", size_name(plaintext.len())),
                cores: true,
                objects: AT_ONCE * AT_ONCE,
                work: Box::new(move || world.seal_at_once(runtime, &plaintext, batch.as_ref())),
            });
        }
    }
    cases
}

fn cases_opening<'a>(worlds: &'a [(ProviderKind, Arc<World>)], objects: &'a [Vec<u8>], size: usize) -> Vec<Case<'a>> {
    let mut cases = Vec::new();
    for ((kind, world), object) in worlds.iter().zip(objects) {
        for &(on, workers) in kinds(size) {
            cases.push(Case {
                name: format!("open.{kind}.{on}.{}", size_name(size)),
                cores: on == "cores",
                objects: 1,
                work: Box::new(move || world.open(object, workers)),
            });
        }
    }
    cases
}

fn run(settings: &Settings, mut cases: Vec<Case<'_>>, size: usize, figures: &mut BTreeMap<String, Took>) {
    cases.retain(|case| {
        settings
            .only
            .as_ref()
            .is_none_or(|only| case.name.contains(only.as_str()))
    });
    let rounds = if settings.quick { 3 } else { 5 };
    let length = if settings.quick { 0.05 } else { 0.2 };
    let mut took_all: Vec<Vec<Took>> = vec![Vec::new(); cases.len()];
    let mut times = vec![1; cases.len()];
    // The first, unmeasured round warms up and says how often a round has to repeat.
    for round in 0..=rounds {
        for (n, case) in cases.iter_mut().enumerate() {
            let took = took(case.cores, times[n], &mut case.work);
            if round == 0 {
                times[n] = ((length / took.wall) as usize).clamp(1, 100_000);
            } else {
                took_all[n].push(took);
            }
        }
    }
    for (case, rounds) in cases.iter().zip(&took_all) {
        let per = case.objects as f64;
        let took = Took {
            wall: median(rounds, |took| took.wall) / per,
            cpu: median(rounds, |took| took.cpu) / per,
        };
        if size <= SMALL {
            println!("{}.rate {:.0} objects/s", case.name, 1.0 / took.cpu);
            if case.cores {
                println!("{}.wall {:.0} objects/s", case.name, 1.0 / took.wall);
            }
        } else {
            let gb = |seconds: f64| size as f64 / seconds / 1e9;
            println!("{}.wall {:.3} GB/s", case.name, gb(took.wall));
            println!("{}.cpu {:.3} GB/s", case.name, gb(took.cpu));
        }
        figures.insert(case.name.clone(), took);
    }
}

fn ratios(figures: &BTreeMap<String, Took>) {
    for (name, one) in figures {
        for (on, scale) in [(".cores.", "scale."), (".apart.", "scale.apart.")] {
            if let Some(all) = figures
                .get(&name.replace(".caller.", on))
                .filter(|_| name.contains(".caller."))
            {
                println!(
                    "{scale}{} {:.2} times",
                    name.replace(".caller.", "."),
                    one.wall / all.wall
                );
            }
        }
        if let Some(fast) = figures
            .get(&name.replace(".rust-crypto.", ".aws-lc."))
            .filter(|_| name.contains("rust-crypto"))
        {
            println!(
                "provider.{} {:.2} times",
                name.replace(".rust-crypto.", "."),
                one.cpu / fast.cpu
            );
        }
    }
}
