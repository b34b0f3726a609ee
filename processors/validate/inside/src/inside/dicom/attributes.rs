//! Names of attributes (DICOM PS3.6): those that may identify somebody (PS3.15, table E.1-1), and those that stand beside them.

/// Tag and keyword, in order of the tags.
const KEYWORDS: &[(u32, &str)] = &[
    (0x0008_0012, "InstanceCreationDate"),
    (0x0008_0015, "InstanceCoercionDateTime"),
    (0x0008_0020, "StudyDate"),
    (0x0008_0021, "SeriesDate"),
    (0x0008_0022, "AcquisitionDate"),
    (0x0008_0023, "ContentDate"),
    (0x0008_0024, "OverlayDate"),
    (0x0008_0025, "CurveDate"),
    (0x0008_002a, "AcquisitionDateTime"),
    (0x0008_0050, "AccessionNumber"),
    (0x0008_0080, "InstitutionName"),
    (0x0008_0081, "InstitutionAddress"),
    (0x0008_0090, "ReferringPhysicianName"),
    (0x0008_0092, "ReferringPhysicianAddress"),
    (0x0008_0094, "ReferringPhysicianTelephoneNumbers"),
    (0x0008_009c, "ConsultingPhysicianName"),
    (0x0008_0104, "CodeMeaning"),
    (0x0008_1010, "StationName"),
    (0x0008_1030, "StudyDescription"),
    (0x0008_103e, "SeriesDescription"),
    (0x0008_1040, "InstitutionalDepartmentName"),
    (0x0008_1048, "PhysiciansOfRecord"),
    (0x0008_1050, "PerformingPhysicianName"),
    (0x0008_1060, "NameOfPhysiciansReadingStudy"),
    (0x0008_1070, "OperatorsName"),
    (0x0008_1080, "AdmittingDiagnosesDescription"),
    (0x0008_2111, "DerivationDescription"),
    (0x0008_4000, "IdentifyingComments"),
    (0x0010_0010, "PatientName"),
    (0x0010_0020, "PatientID"),
    (0x0010_0021, "IssuerOfPatientID"),
    (0x0010_0030, "PatientBirthDate"),
    (0x0010_1000, "OtherPatientIDs"),
    (0x0010_1001, "OtherPatientNames"),
    (0x0010_1005, "PatientBirthName"),
    (0x0010_1010, "PatientAge"),
    (0x0010_1040, "PatientAddress"),
    (0x0010_1050, "InsurancePlanIdentification"),
    (0x0010_1060, "PatientMotherBirthName"),
    (0x0010_1080, "MilitaryRank"),
    (0x0010_1090, "MedicalRecordLocator"),
    (0x0010_2000, "MedicalAlerts"),
    (0x0010_2110, "Allergies"),
    (0x0010_2150, "CountryOfResidence"),
    (0x0010_2152, "RegionOfResidence"),
    (0x0010_2154, "PatientTelephoneNumbers"),
    (0x0010_2155, "PatientTelecomInformation"),
    (0x0010_2160, "EthnicGroup"),
    (0x0010_2180, "Occupation"),
    (0x0010_21b0, "AdditionalPatientHistory"),
    (0x0010_21d0, "LastMenstrualDate"),
    (0x0010_21f0, "PatientReligiousPreference"),
    (0x0010_2297, "ResponsiblePerson"),
    (0x0010_2299, "ResponsibleOrganization"),
    (0x0010_4000, "PatientComments"),
    (0x0012_0010, "ClinicalTrialSponsorName"),
    (0x0012_0031, "ClinicalTrialSiteName"),
    (0x0012_0040, "ClinicalTrialSubjectID"),
    (0x0012_0063, "DeidentificationMethod"),
    (0x0018_1000, "DeviceSerialNumber"),
    (0x0018_1012, "DateOfSecondaryCapture"),
    (0x0018_1030, "ProtocolName"),
    (0x0018_1200, "DateOfLastCalibration"),
    (0x0018_4000, "AcquisitionComments"),
    (0x0018_a003, "ContributionDescription"),
    (0x0020_0010, "StudyID"),
    (0x0020_4000, "ImageComments"),
    (0x0032_1032, "RequestingPhysician"),
    (0x0032_1033, "RequestingService"),
    (0x0032_1060, "RequestedProcedureDescription"),
    (0x0032_4000, "StudyComments"),
    (0x0038_0010, "AdmissionID"),
    (0x0038_0020, "AdmittingDate"),
    (0x0038_0030, "DischargeDate"),
    (0x0038_0300, "CurrentPatientLocation"),
    (0x0038_0400, "PatientInstitutionResidence"),
    (0x0038_0500, "PatientState"),
    (0x0038_4000, "VisitComments"),
    (0x0040_0002, "ScheduledProcedureStepStartDate"),
    (0x0040_0004, "ScheduledProcedureStepEndDate"),
    (0x0040_0006, "ScheduledPerformingPhysicianName"),
    (0x0040_0007, "ScheduledProcedureStepDescription"),
    (0x0040_0244, "PerformedProcedureStepStartDate"),
    (0x0040_0250, "PerformedProcedureStepEndDate"),
    (0x0040_0253, "PerformedProcedureStepID"),
    (0x0040_0254, "PerformedProcedureStepDescription"),
    (0x0040_0280, "CommentsOnThePerformedProcedureStep"),
    (0x0040_1001, "RequestedProcedureID"),
    (0x0040_1010, "NamesOfIntendedRecipientsOfResults"),
    (0x0040_1102, "PersonAddress"),
    (0x0040_1103, "PersonTelephoneNumbers"),
    (0x0040_1400, "RequestedProcedureComments"),
    (0x0040_2008, "OrderEnteredBy"),
    (0x0040_2009, "OrderEntererLocation"),
    (0x0040_2010, "OrderCallbackPhoneNumber"),
    (0x0040_2016, "PlacerOrderNumberImagingServiceRequest"),
    (0x0040_2017, "FillerOrderNumberImagingServiceRequest"),
    (0x0040_2400, "ImagingServiceRequestComments"),
    (0x0040_4036, "HumanPerformerOrganization"),
    (0x0040_4037, "HumanPerformerName"),
    (0x0040_a027, "VerifyingOrganization"),
    (0x0040_a030, "VerificationDateTime"),
    (0x0040_a075, "VerifyingObserverName"),
    (0x0040_a120, "DateTime"),
    (0x0040_a121, "Date"),
    (0x0040_a123, "PersonName"),
    (0x0040_a160, "TextValue"),
    (0x0042_0010, "DocumentTitle"),
    (0x0070_0084, "ContentCreatorName"),
    (0x4008_0102, "InterpretationRecorder"),
    (0x4008_010a, "InterpretationTranscriber"),
    (0x4008_010b, "InterpretationText"),
    (0x4008_010c, "InterpretationAuthor"),
    (0x4008_0114, "PhysicianApprovingInterpretation"),
    (0x4008_0119, "DistributionName"),
    (0x4008_011a, "DistributionAddress"),
    (0x4008_4000, "ResultsComments"),
];

/// How the values of these attributes are written where the file does not say it (implicit VR, PS3.5 A.1).
pub(super) fn representation(tag: u32) -> Option<[u8; 2]> {
    let keyword = keyword(tag)?;
    let person = keyword.ends_with("Name") || keyword.contains("Names") || keyword.contains("Physician");
    let place = [
        "Institution",
        "Station",
        "Site",
        "Sponsor",
        "Protocol",
        "Department",
        "Distribution",
    ];
    Some(match keyword {
        "PatientAge" => *b"AS",
        "ReferringPhysicianAddress" | "ReferringPhysicianTelephoneNumbers" => *b"SH",
        "ResponsiblePerson"
        | "OrderEnteredBy"
        | "InterpretationRecorder"
        | "InterpretationTranscriber"
        | "InterpretationAuthor" => *b"PN",
        _ if keyword.ends_with("DateTime") => *b"DT",
        _ if keyword.ends_with("Date") || keyword.starts_with("DateOf") => *b"DA",
        _ if person && !place.iter().any(|other| keyword.contains(other)) => *b"PN",
        _ => *b"LT",
    })
}

/// The keyword of an attribute.
fn keyword(tag: u32) -> Option<&'static str> {
    let at = KEYWORDS.binary_search_by_key(&tag, |(tag, _)| *tag).ok()?;
    Some(KEYWORDS[at].1)
}

/// What an attribute is called: its keyword, or its tag.
pub(super) fn name(tag: u32) -> String {
    keyword(tag).map_or_else(|| format!("({:04X},{:04X})", tag >> 16, tag & 0xffff), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_in_order_and_names_say_how_values_are_written() {
        assert!(KEYWORDS.is_sorted_by(|(one, _), (other, _)| one < other));
        for (tag, written) in [
            (0x0010_0010, b"PN"),
            (0x0010_0030, b"DA"),
            (0x0008_1070, b"PN"),
            (0x0032_1032, b"PN"),
            (0x0008_0080, b"LT"),
            (0x0008_002a, b"DT"),
            (0x0010_0020, b"LT"),
        ] {
            assert_eq!(representation(tag), Some(*written), "{}", name(tag));
        }
        assert_eq!(name(0x0009_1001), "(0009,1001)");
        assert_eq!(representation(0x0009_1001), None);
    }
}
