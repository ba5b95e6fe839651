//! Chains from a client's certificate to an authority.

use super::member::Member;
use super::refusal::{Hint, Refusal};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use std::sync::Arc;

/// Signatures that are checked for one client at most: it chooses what it sends. Go's figure.
const SIGNATURES_MAX: usize = 100;

/// The authorities that may sign for clients.
#[derive(Debug)]
pub struct Trust {
    authorities: Vec<Member>,
    provider: Arc<CryptoProvider>,
}

/// A place in a chain that is sought for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    End,
    Intermediate,
    Authority,
}

/// The search for a chain.
struct Search<'s> {
    trust: &'s Trust,
    intermediates: &'s [Member],
    /// Seconds since the epoch.
    now: i64,
    signatures: usize,
    hint: Option<Hint>,
    /// What was wrong with the last member that was looked at and signed.
    problem: Option<Refusal>,
}

impl Trust {
    /// These authorities; what cannot be read among them is left out, as Go does. `None` when nothing is left.
    pub fn new(authorities: &[CertificateDer<'_>], provider: &Arc<CryptoProvider>) -> Option<Trust> {
        let authorities: Vec<Member> = authorities.iter().filter_map(Member::read).collect();
        (!authorities.is_empty()).then(|| Trust { authorities, provider: Arc::clone(provider) })
    }

    /// What signatures are checked with.
    pub(super) fn provider(&self) -> &CryptoProvider {
        &self.provider
    }

    /// The names of the authorities, DER.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.authorities.iter().map(|authority| authority.subject.as_slice())
    }

    /// Whether a client may come with this certificate and those behind it. Returns until when all of them count, the
    /// authority included, in seconds since the epoch.
    pub(super) fn check(
        &self,
        end: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<i64, Refusal> {
        let end = Member::read(end).ok_or(Refusal::Unreadable)?;
        let intermediates: Vec<Member> =
            intermediates.iter().map(Member::read).collect::<Option<_>>().ok_or(Refusal::Unreadable)?;
        let now_seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let mut search = Search {
            trust: self,
            intermediates: &intermediates,
            now: now_seconds,
            signatures: 0,
            hint: None,
            problem: None,
        };
        search.is_fit(&end, Place::End, 0)?;
        let mut unfit = None;
        if self.authorities.iter().any(|authority| authority.der == end.der) {
            // It is trusted by itself, whatever else it says of itself.
            return if end.is_for_clients() { Ok(end.not_after) } else { Err(Refusal::Usage) };
        }
        let mut not_after = end.not_after;
        let mut accept = |chain: &[&Member]| match self.judge(chain, now) {
            Ok(()) => {
                let ends = chain.iter().map(|member| member.not_after);
                not_after = ends.min().unwrap_or(not_after);
                true
            }
            Err(refusal) => {
                unfit = Some(refusal);
                false
            }
        };
        if search.extend(&mut vec![&end], &mut accept) {
            return Ok(not_after);
        }
        let Search { problem, hint, .. } = search;
        Err(unfit.or(problem).unwrap_or(Refusal::UnknownAuthority(hint)))
    }

    /// Whether a whole chain is for clients, and for the names at its end.
    fn judge(&self, chain: &[&Member], now: UnixTime) -> Result<(), Refusal> {
        let ([end, between @ ..], [.., root]) = (chain, chain) else { return Ok(()) };
        if between.iter().any(|authority| authority.has_name_constraints) {
            self.check_names(end, &between[..between.len() - 1], root, now)?;
        }
        if !chain.iter().all(|member| member.is_for_clients()) {
            return Err(Refusal::Usage);
        }
        Ok(())
    }

    /// Constraints of names are webpki's: it is asked about this chain alone. It is stricter about its end.
    fn check_names(
        &self,
        end: &Member,
        between: &[&Member],
        root: &Member,
        now: UnixTime,
    ) -> Result<(), Refusal> {
        let mut roots = RootCertStore::empty();
        roots.add(root.der.clone()).map_err(|_| Refusal::Name)?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider));
        let verifier = verifier.build().map_err(|_| Refusal::Name)?;
        let between: Vec<CertificateDer<'static>> = between.iter().map(|member| member.der.clone()).collect();
        verifier.verify_client_cert(&end.der, &between, now).map(drop).map_err(|_| Refusal::Name)
    }
}

impl<'s> Search<'s> {
    /// Whether a certificate may stand at a place, with so many authorities below it.
    fn is_fit(&self, member: &Member, place: Place, authorities_below: usize) -> Result<(), Refusal> {
        let now = self.now;
        if member.has_unknown_critical_extension() {
            return Err(Refusal::CriticalExtension);
        }
        if now < member.not_before {
            return Err(Refusal::NotYetValid { now, not_before: member.not_before });
        }
        if now > member.not_after {
            return Err(Refusal::Expired { now, not_after: member.not_after });
        }
        if place == Place::Intermediate && !member.is_authority() {
            return Err(Refusal::NotAuthorizedToSign);
        }
        if member.path_length_max().is_some_and(|length_max| authorities_below > length_max) {
            return Err(Refusal::TooManyIntermediates);
        }
        Ok(())
    }

    /// Goes on from the last of a chain, to each authority that has signed it, then through what was sent with it. True
    /// when a chain was accepted. It ends: nobody stands in a chain twice, and signatures are counted.
    fn extend(&mut self, chain: &mut Vec<&'s Member>, accept: &mut impl FnMut(&[&Member]) -> bool) -> bool {
        let Some(&last) = chain.last() else { return false };
        for (candidates, place) in
            [(self.trust.authorities.as_slice(), Place::Authority), (self.intermediates, Place::Intermediate)]
        {
            let is_candidate = |candidate: &&Member| candidate.subject == last.issuer;
            let mut fitting: Vec<&'s Member> = candidates.iter().filter(is_candidate).collect();
            fitting.sort_by_key(|candidate| last.key_distance(candidate));
            for candidate in fitting {
                if chain.iter().any(|member| member.is_same_owner(candidate))
                    || !self.has_signed(candidate, last)
                {
                    continue;
                }
                if let Err(problem) = self.is_fit(candidate, place, chain.len() - 1) {
                    self.problem = Some(problem);
                    continue;
                }
                chain.push(candidate);
                let is_accepted = match place {
                    Place::Authority => accept(chain),
                    _ => self.extend(chain, accept),
                };
                chain.pop();
                if is_accepted {
                    return true;
                }
            }
        }
        false
    }

    fn has_signed(&mut self, authority: &Member, signed: &Member) -> bool {
        if self.signatures >= SIGNATURES_MAX {
            self.problem = Some(Refusal::SignatureLimit);
            return false;
        }
        self.signatures += 1;
        let algorithms = &self.trust.provider.signature_verification_algorithms;
        let Err(problem) = signed.check_signature(authority, algorithms) else { return true };
        self.hint.get_or_insert_with(|| Hint { problem, authority: authority.shown_name.clone() });
        false
    }
}
