//! The least that an opening can cost: one element of a set put in over bare netlink, and read back.
//!
//! `./bench` runs it on a host of its own, without any other rules. It prints one JSON line, in
//! microseconds: `{"put":{"p50","p99"},"putAndRead":{"p50","p99"}}`.

use std::{error::Error, net::Ipv4Addr, time::Duration};

use nlink::{
    Connection,
    netlink::{
        Nftables,
        nftables::{Family, Set, SetElement, SetKeyType, Transaction},
    },
};
use rustix::time::{ClockId, clock_gettime};

const TABLE: &str = "limit";
const SET: &str = "openings";
/// How many elements are put in, one transaction each.
const SAMPLES: u32 = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let nft = Connection::<Nftables>::new()?;
    let key = SetKeyType::Concat(vec![
        SetKeyType::Ipv4Addr,
        SetKeyType::Ipv4Addr,
        SetKeyType::InetService,
    ]);
    let minute = Duration::from_secs(60);
    let set = Set::new(TABLE, SET).family(Family::Inet).key_type(key).size(131_072).timeout(minute);
    nft.transaction().add_table(TABLE, Family::Inet).add_set(set.clone()).commit(&nft).await?;
    let (mut put, mut both) = (Vec::new(), Vec::new());
    for n in 0..SAMPLES {
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + n);
        let parts = [
            SetElement::ipv4(source),
            SetElement::ipv4(Ipv4Addr::new(10, 9, 0, 4)),
            SetElement::port(22),
        ];
        let element = SetElement::concat(parts).with_timeout(minute);
        let change = |transaction: Transaction| async { transaction.commit(&nft).await };
        let began = now();
        change(nft.transaction().add_set_elements(&set, std::slice::from_ref(&element))).await?;
        put.push(now() - began);
        let stands = nft.list_set_elements(TABLE, SET, Family::Inet).await?.len() == 1;
        both.push(now() - began);
        if !stands {
            return Err("what was put in is not there".into());
        }
        change(nft.transaction().del_set_elements(&set, &[element])).await?;
    }
    nft.transaction().del_table(TABLE, Family::Inet).commit(&nft).await?;
    println!("{{\"put\":{},\"putAndRead\":{}}}", told(put), told(both));
    Ok(())
}

/// Microseconds on a clock that nobody sets.
fn now() -> f64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
}

fn told(mut samples: Vec<f64>) -> String {
    samples.sort_by(f64::total_cmp);
    let at = |share: f64| samples[((samples.len() - 1) as f64 * share) as usize];
    format!("{{\"p50\":{:.1},\"p99\":{:.1}}}", at(0.5), at(0.99))
}
