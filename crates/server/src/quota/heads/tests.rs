use std::net::Ipv4Addr;

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

fn waiting(heads: &Arc<Heads>, from: IpAddr) -> Arc<Head> {
    let head = heads.connect(from);
    head.begins();
    head
}

/// So much comes of a head, and more is asked for.
fn read(head: &Head, bytes: usize) -> io::Result<()> {
    head.came(&vec![b'x'; bytes]);
    head.is_partial()
}

fn open(heads: &Heads) -> u32 {
    heads.open.lock().unwrap().values().sum()
}

#[test]
fn large_heads_share_a_budget_and_small_ones_need_none() {
    let heads = Heads::new(10_000, 100);
    let one = |bytes: usize| {
        let head = waiting(&heads, HERE);
        let read = read(&head, bytes);
        (head, read)
    };
    let large: Vec<_> = (0..2).map(|_| one(SMALL + 5000)).collect();
    assert!(large.iter().all(|(_, read)| read.is_ok()));
    assert!(one(SMALL + 1).1.is_err(), "the budget is used up");
    let (small, of_small) = one(SMALL);
    assert!(of_small.is_ok() && read(&small, 1).is_err());
    drop(small);
    // A head that comes whole needs no room, whatever comes with it.
    let whole = waiting(&heads, HERE);
    whole.came(&[GET, &[b'x'; 100_000]].concat());
    whole.complete(Some(1_000_000));
    drop(whole);
    // One that is complete, and one that is gone, give back what they had.
    let first = &large[0].0;
    first.complete(Some(200_000));
    for _ in 0..2 {
        read(first, 100_000).unwrap();
    }
    assert!(one(SMALL + 5000).1.is_ok());
    first.begins();
    assert!(read(first, 100_000).is_err(), "it is another head");
    drop(large);
    assert_eq!((heads.bytes.load(Ordering::Relaxed), open(&heads)), (0, 0));
    assert!(one(SMALL + 10_000).1.is_ok());
}

#[test]
fn what_is_behind_a_request_is_the_next_head() {
    let heads = Heads::new(10_000, 10);
    let chunked = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    for (request, body) in [
        (GET, Some(0)),
        (b"\r\n\nPOST / HTTP/1.1\ncontent-length: 3\n\nabc", Some(3)),
        (chunked, None),
    ] {
        for behind in [0, 1, 9000, 20_000] {
            let head = waiting(&heads, HERE);
            let (begun, rest) = request.split_at(7);
            head.came(begun);
            head.is_partial().unwrap();
            head.came(&[rest, &vec![b'x'; behind]].concat());
            head.complete(body);
            // Answered before the body is read; hyper asks for no more while it holds some.
            head.begins();
            assert_eq!(open(&heads), 0);
            assert_eq!(head.is_partial().is_ok(), behind < 20_000, "{behind} behind {body:?}");
            assert_eq!(open(&heads), u32::from(behind > 0), "{behind} behind {body:?}");
        }
    }
    // Blank lines are held too.
    let head = waiting(&heads, HERE);
    head.came(&[chunked.as_slice(), &[b'\n'; 20_000]].concat());
    head.complete(None);
    head.begins();
    assert!(head.is_partial().is_err());
    drop(head);
    // Of two requests in one piece, whatever is known when nothing is held any more.
    let head = waiting(&heads, HERE);
    head.came(&[GET, GET].concat());
    head.complete(Some(0));
    head.begins();
    head.complete(Some(0));
    head.is_partial().unwrap();
    head.begins();
    head.is_partial().unwrap();
    assert_eq!((heads.bytes.load(Ordering::Relaxed), open(&heads)), (0, 0));
}

#[test]
fn after_the_last_head_nothing_counts() {
    let heads = Heads::new(10_000, 1);
    let head = waiting(&heads, HERE);
    read(&head, 9000).unwrap();
    head.complete(Some(0));
    head.was_last();
    for _ in 0..3 {
        read(&head, 1_000_000).unwrap();
    }
    assert_eq!((heads.bytes.load(Ordering::Relaxed), open(&heads)), (0, 0));
}

#[test]
fn an_address_has_so_many_at_once() {
    let heads = Heads::new(1_000_000, 2);
    let slow = |from: IpAddr| {
        let head = waiting(&heads, from);
        let read = read(&head, 10);
        (head, read)
    };
    let two: Vec<_> = (0..2).map(|_| slow(HERE)).collect();
    assert!(two.iter().all(|(_, read)| read.is_ok()));
    assert!(slow(HERE).1.is_err());
    assert!(slow(THERE).1.is_ok(), "another address has its own");
    let whole = waiting(&heads, HERE);
    whole.came(GET);
    two[0].0.complete(Some(0));
    assert!(slow(HERE).1.is_ok());
    // The same connection again, for the next request.
    two[0].0.is_partial().unwrap();
    two[0].0.begins();
    assert!(read(&two[0].0, 10).is_ok());
    drop((two, whole));
    assert!(heads.open.lock().unwrap().is_empty());
}
